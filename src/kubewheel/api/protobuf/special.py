"""Messages whose JSON is not an object of their fields: times, quantities, int-or-strings, raw JSON, lists with a name.

In: a JSON value, or a message's bytes. Out: the bytes, or the JSON value (None: null). Called by: encoder.py, decoder.py.
Source of the rules: apimachinery's hand-written (un)marshallers, shown by its generated.proto comments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from kubewheel.api import codec
from kubewheel.lib import clock as clocks
from kubewheel.lib.wire import (
    BYTES,
    ProtobufError,
    as_bytes,
    as_int,
    delimited,
    fields,
    heads,
    number_field,
    skip,
    span,
    varint,
)

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
ZERO_TIME = -62135596800  # 0001-01-01T00:00:00Z: what a time that was never set is in Go


class Special(NamedTuple):
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes, int, int], Any]  # (data, start, end)
    zero: bytes = b""  # of a field that is not set


# -- times --------------------------------------------------------------------------------------------------------
@lru_cache(4096)
def _pack_time(value: str) -> bytes:
    """Whole seconds: what protobuf's clients cannot store, those of JSON need not see."""
    return number_field(1, int(clocks.parse_time(value) // 1)) + b"\x10\x00"


@lru_cache(4096)
def _pack_micro_time(value: str) -> bytes:
    """The fraction is read as digits: a float of seconds is too coarse for it from 2242 on."""
    head, _, rest = value.partition(".")
    digits = rest[:len(rest) - len(rest.lstrip("0123456789"))]
    seconds = int(clocks.parse_time(head + rest[len(digits):]) // 1)
    return number_field(1, seconds) + number_field(2, int(digits[:6].ljust(6, "0")) * 1000)


def _unpack_time(data: bytes, at: int, end: int) -> str | None:
    return _rfc3339(data[at:end])


@lru_cache(4096)
def _rfc3339(raw: bytes) -> str | None:
    return _at(as_int(fields(raw, 0, len(raw)).get(1, 0), "Seconds"), "Z") if raw else None


def _unpack_micro_time(data: bytes, at: int, end: int) -> str | None:
    if at == end:
        return None
    found = fields(data, at, end)
    nanos = as_int(found.get(2, 0), "Nanos")
    return _at(as_int(found.get(1, 0), "Seconds") + nanos // 1_000_000_000, f".{nanos % 1_000_000_000 // 1000:06d}Z")


def _at(seconds: int, rest: str) -> str | None:
    if seconds == ZERO_TIME:
        return None
    if not ZERO_TIME < seconds < 253402300800:
        raise ProtobufError("Time.MarshalJSON: year outside of range [0,9999]")
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{rest}"


# -- values -------------------------------------------------------------------------------------------------------
def _pack_quantity(value: Any) -> bytes:
    return delimited(1, str(value).encode())


def _unpack_quantity(data: bytes, at: int, end: int) -> str:
    if at + 2 < end and data[at] == 10 and data[at + 1] == end - at - 2:  # by far the most
        return data[at + 2:end].decode(errors="replace")
    return as_bytes(fields(data, at, end).get(1, b""), "String_").decode(errors="replace") or "0"


def _pack_int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + delimited(3, value.encode())
    return b"\x08\x00" + number_field(2, int(value)) + b"\x1a\x00"


def _unpack_int_or_string(data: bytes, at: int, end: int) -> int | str:
    return _int_or_string(data[at:end])


@lru_cache(1024)
def _int_or_string(raw: bytes) -> int | str:
    found = fields(raw, 0, len(raw))
    if as_int(found.get(1, 0), "Type") == 1:
        return as_bytes(found.get(3, b""), "StrVal").decode(errors="replace")
    return int32(as_int(found.get(2, 0), "IntVal"))


def int32(value: int) -> int:
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


# -- raw JSON -----------------------------------------------------------------------------------------------------
def _pack_json(value: Any) -> bytes:
    return delimited(1, codec.dumps(value)) if value is not None else b""


def _unpack_json(data: bytes, at: int, end: int) -> Any:
    raw = as_bytes(fields(data, at, end).get(1, b""), "Raw")
    try:
        return codec.loads(raw) if raw else None
    except ValueError as e:
        raise ProtobufError(f"raw JSON: {e}") from e


def _pack_strings(value: list[str]) -> bytes:
    return b"".join([delimited(1, v.encode()) for v in value])


def _unpack_strings(data: bytes, at: int, end: int) -> list[str]:
    return [data[start:stop].decode(errors="replace") for number, start, stop in _members(data, at, end) if number == 1]


def _members(data: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """(number, start, stop) of every length-delimited field."""
    out = []
    while at < end:
        tag, at = varint(data, at, end)
        if tag & 7 == BYTES:
            start, at = span(data, at, end)
            out.append((tag >> 3, start, at))
        else:
            at = skip(data, at, end, tag & 7)
    return out


# -- JSON schemas: a schema, or a list, or a boolean ------------------------------------------------------------------
def _pack_schema(value: Any) -> bytes:
    from kubewheel.api.protobuf import encoder

    return delimited(1, encoder.packer(EXTENSIONS + "JSONSchemaProps")(value))


def _schema(data: bytes, at: int, end: int) -> Any:
    from kubewheel.api.protobuf import walker

    return walker.message(EXTENSIONS + "JSONSchemaProps").unpack(data, at, end, {})


def _pack_or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([heads(2)[-1] + _pack_schema(v)[1:] for v in value])
    return _pack_schema(value)


def _pack_or_bool(value: Any) -> bytes:
    if isinstance(value, dict):
        schema = _pack_schema(value)
        return b"\x08\x01" + heads(2)[-1] + schema[1:]
    return b"\x08\x01" if value else b"\x08\x00"


def _pack_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join([delimited(2, v.encode()) for v in value])
    return _pack_schema(value)


def _unpack_or_array(data: bytes, at: int, end: int) -> Any:
    members = _members(data, at, end)
    many = [_schema(data, start, stop) for number, start, stop in members if number == 2]
    if many:  # upstream: the list goes first where both are there
        return many
    one = [_schema(data, start, stop) for number, start, stop in members if number == 1]
    return one[-1] if one else None


def _unpack_or_bool(data: bytes, at: int, end: int) -> Any:
    schemas = [_schema(data, start, stop) for number, start, stop in _members(data, at, end) if number == 2]
    return schemas[-1] if schemas else bool(as_int(fields(data, at, end).get(1, 0), "Allows"))


def _unpack_or_strings(data: bytes, at: int, end: int) -> Any:
    members = _members(data, at, end)
    many = [data[start:stop].decode(errors="replace") for number, start, stop in members if number == 2]
    if many:
        return many
    one = [_schema(data, start, stop) for number, start, stop in members if number == 1]
    return one[-1] if one else None


_STRINGS = Special(_pack_strings, _unpack_strings)
_JSON = Special(_pack_json, _unpack_json)

SPECIAL: dict[str, Special] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Special(_pack_quantity, _unpack_quantity, b"\x0a\x010"),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": Special(
        _pack_int_or_string, _unpack_int_or_string, b"\x08\x00\x10\x00\x1a\x00"),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _JSON,
    META + "Time": Special(_pack_time, _unpack_time),
    META + "MicroTime": Special(_pack_micro_time, _unpack_micro_time),
    META + "FieldsV1": _JSON,
    META + "Verbs": _STRINGS,
    **{f"io.k8s.api.{version}.ExtraValue": _STRINGS for version in (
        "authentication.v1", "authentication.v1beta1", "authorization.v1", "authorization.v1beta1", "certificates.v1",
        "certificates.v1beta1")},
    "io.k8s.api.authentication.v1.AttestationValue": _STRINGS,
    EXTENSIONS + "JSON": _JSON,
    EXTENSIONS + "JSONSchemaPropsOrArray": Special(_pack_or_array, _unpack_or_array),
    EXTENSIONS + "JSONSchemaPropsOrBool": Special(_pack_or_bool, _unpack_or_bool, b"\x08\x00"),
    EXTENSIONS + "JSONSchemaPropsOrStringArray": Special(_pack_or_strings, _unpack_or_strings),
}
