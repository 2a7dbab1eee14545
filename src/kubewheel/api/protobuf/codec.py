"""`application/vnd.kubernetes.protobuf` to JSON dicts and back, driven by the table of field numbers.

In: bytes with the `k8s\\0` envelope (runtime.Unknown). Out: the dict its JSON form would give.
Called by: apiserver/bodies, render. Source of the rules: the API concepts page (Kubernetes protobuf encoding).
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from kubewheel.api import codec, schema
from kubewheel.lib import clock as clocks

MAGIC = b"k8s\x00"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
DOUBLE, FLOAT, INT64, UINT64, INT32, BOOL, STRING, MESSAGE, BYTES, UINT32 = 1, 2, 3, 4, 5, 8, 9, 11, 12, 13


# Go writes its plain (non-pointer) fields even when they are zero, so a zero on the wire means "not set" — but for
# pointer fields, where it was set on purpose. These are the pointers.
POINTERS = frozenset("""
replicas minReplicas revisionHistoryLimit progressDeadlineSeconds terminationGracePeriodSeconds activeDeadlineSeconds
runAsUser runAsGroup fsGroup backoffLimit backoffLimitPerIndex maxFailedIndexes parallelism completions
ttlSecondsAfterFinished startingDeadlineSeconds successfulJobsHistoryLimit failedJobsHistoryLimit tolerationSeconds
deletionGracePeriodSeconds gracePeriodSeconds defaultMode mode expirationSeconds partition priority leaseTransitions
leaseDurationSeconds minDomains averageUtilization stabilizationWindowSeconds limitBytes tailLines sinceSeconds
timeoutSeconds automountServiceAccountToken allowPrivilegeEscalation runAsNonRoot readOnlyRootFilesystem privileged
enableServiceLinks immutable optional hostUsers shareProcessNamespace setHostnameAsFQDN allocateLoadBalancerNodePorts
suspend controller blockOwnerDeletion ready serving terminating orphanDependents allowVolumeExpansion attachRequired
podInfoOnMount storageCapacity requiresRepublish seLinuxMount started manualSelector storageClassName ingressClassName
volumeAttributesClassName timeZone apiGroup allowed denied exitCode availableReplicas currentHealthy desiredHealthy
disruptionsAllowed expectedPods restartCount value data currentNumberScheduled numberMisscheduled
desiredNumberScheduled numberReady currentReplicas desiredReplicas attached podPidsLimit
""".split())
NOT_POINTERS = frozenset({("io.k8s.api.core.v1.Probe", "timeoutSeconds"), ("io.k8s.api.core.v1.EnvVar", "value")})


class ProtobufError(ValueError):
    """The bytes are no message of the kind they claim."""


class Field(NamedTuple):
    name: str
    type: int
    repeated: bool
    message: str  # of the value; "map:<type or message>" for maps
    inline: bool  # its fields stand in the parent's JSON
    number: int


@cache
def _table() -> dict[str, list[list[Any]]]:
    raw = resources.files("kubewheel.api.protobuf").joinpath("fields.json.z").read_bytes()
    return codec.loads(zlib.decompress(raw))


def knows(definition: str) -> bool:
    return definition in _table()


@cache
def _fields(definition: str) -> dict[int, Field]:
    """Number -> Field. A message field that the kind's JSON schema does not have, but whose own fields it has, is
    one that Go embeds: inline."""
    rows = _table().get(definition)
    if rows is None:
        raise ProtobufError(f"no protobuf form of {definition} is known")
    try:
        known = schema.definition(definition).fields
    except KeyError:
        known = {}
    out = {}
    for number, name, kind, repeated, message in rows:
        is_map = message.startswith("map:")
        inline = bool(known) and kind == MESSAGE and name not in known and not is_map and _is_within(message, known)
        out[number] = Field(name, kind, bool(repeated) and not is_map, message, inline, number)
    return out


def _is_within(message: str, known: dict[str, Any]) -> bool:
    rows = _table().get(message) or []
    return any(r[1] in known or r[2] == MESSAGE and _is_within(r[4], known) for r in rows if not r[4].startswith("map:"))


# -- decoding -----------------------------------------------------------------------------------------------------
def decode(raw: bytes, definition_of: Callable[[str, str], str]) -> dict[str, Any]:
    """The object in an envelope; `definition_of(apiVersion, kind)` names its schema definition ("" if unknown)."""
    if not raw.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    body = b""
    for number, value in _walk(raw[4:]):
        if number == 1:
            for inner, text in _walk(_bytes(value)):
                if inner == 1:
                    api_version = _bytes(text).decode()
                elif inner == 2:
                    kind = _bytes(text).decode()
        elif number == 2:
            body = _bytes(value)
    definition = definition_of(api_version, kind)
    if not definition:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind, **_message(definition, body)}


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, memoryview)):
        raise ProtobufError("wrong wire type: a length-delimited field was expected")
    return bytes(value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    shift = result = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _walk(data: bytes):
    """(field number, value): ints for varints, 8- or 4-byte bytes for fixed ones, bytes for the rest."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ProtobufError(f"illegal wireType {wire}")
        if at + size > end:
            raise ProtobufError("unexpected EOF")
        yield tag >> 3, data[at:at + size]
        at += size


def _message(definition: str, data: bytes) -> Any:
    special = _SPECIAL.get(definition)
    if special is not None:
        return special(data)
    fields = _fields(definition)
    out: dict[str, Any] = {}
    for number, raw in _walk(data):
        field = fields.get(number)
        if field is None:
            continue  # from a newer client: unknown fields are dropped, as Go drops them
        if field.message.startswith("map:"):
            key, value = _entry(field.message[4:], _bytes(raw))
            out.setdefault(field.name, {})[key] = value
            continue
        value = _value(field, raw)
        if value is None or not value and not field.repeated and field.type != MESSAGE and not _is_pointer(definition, field):
            continue
        if field.inline:
            out.update(value)
        elif field.repeated:
            out.setdefault(field.name, []).append(value)
        else:
            out[field.name] = value
    return out


def _is_pointer(definition: str, field: Field) -> bool:
    return field.name in POINTERS and (definition, field.name) not in NOT_POINTERS


def _entry(kind: str, data: bytes) -> tuple[str, Any]:
    key, value = "", None
    for number, raw in _walk(data):
        if number == 1:
            key = _bytes(raw).decode()
        elif kind.isdigit():
            value = _scalar(int(kind), raw)
        else:
            value = _message(kind, _bytes(raw))
    if value is None:
        value = {} if not kind.isdigit() and kind not in _SPECIAL else "" if kind == str(STRING) or kind == str(BYTES) else "0"
    return key, value


def _value(field: Field, raw: Any) -> Any:
    if field.type == MESSAGE:
        return _message(field.message, _bytes(raw))
    return _scalar(field.type, raw)


def _scalar(kind: int, raw: Any) -> Any:
    if kind == STRING:
        return _bytes(raw).decode()
    if kind == BYTES:
        return b64encode(_bytes(raw)).decode()
    if kind == DOUBLE:
        return struct.unpack("<d", raw)[0]
    if kind == FLOAT:
        return struct.unpack("<f", raw)[0]
    if not isinstance(raw, int):
        raise ProtobufError("wrong wire type: a number was expected")
    if kind == BOOL:
        return bool(raw)
    if kind in (INT32, INT64):
        return raw - (1 << 64) if raw >= 1 << 63 else raw
    return raw


def _numbers(data: bytes) -> dict[int, Any]:
    return dict(_walk(data))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _time(data: bytes) -> str | None:
    found = _numbers(data)
    return clocks.rfc3339(_signed(found[1])) if 1 in found else None  # the zero time is null in JSON


def _micro_time(data: bytes) -> str | None:
    found = _numbers(data)
    return clocks.rfc3339_micro(_signed(found[1]) + found.get(2, 0) / 1e9) if 1 in found else None


def _text(data: bytes) -> str:
    return _bytes(_numbers(data).get(1, b"")).decode()


def _quantity(data: bytes) -> str:
    return _text(data) or "0"


def _int_or_string(data: bytes) -> Any:
    found = _numbers(data)
    if found.get(1, 0) == 1:
        return _bytes(found.get(3, b"")).decode()
    return _signed(found.get(2, 0))


def _json(data: bytes) -> Any:
    raw = _bytes(_numbers(data).get(1, b""))
    return codec.loads(raw) if raw else None


def _strings(data: bytes) -> list[str]:
    return [_bytes(value).decode() for number, value in _walk(data) if number == 1]


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    QUANTITY: _quantity,
    INT_OR_STRING: _int_or_string,
    RAW_EXTENSION: _json,
    META + "Time": _time,
    META + "MicroTime": _micro_time,
    META + "FieldsV1": _json,
    META + "Verbs": _strings,
    "io.k8s.api.authentication.v1.ExtraValue": _strings,
    "io.k8s.api.authorization.v1.ExtraValue": _strings,
    "io.k8s.api.certificates.v1.ExtraValue": _strings,
}


# -- encoding -----------------------------------------------------------------------------------------------------
def encode(obj: dict[str, Any], definition: str) -> bytes:
    """An object in its envelope."""
    kind = _delimited(1, str(obj.get("apiVersion", "")).encode()) + _delimited(2, str(obj.get("kind", "")).encode())
    return MAGIC + _delimited(1, kind) + _delimited(2, _pack(definition, obj)) + _delimited(3, b"") + _delimited(4, b"")


def _uvarint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(number: int, data: bytes) -> bytes:
    return _uvarint(number << 3 | 2) + _uvarint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _uvarint(number << 3) + _uvarint(value)


def _pack(definition: str, obj: Any) -> bytes:
    special = _PACK_SPECIAL.get(definition)
    if special is not None:
        return special(obj)
    parts = []
    for field in sorted(_fields(definition).values(), key=lambda f: f.number):
        if field.inline:
            inner = _pack(field.message, obj)
            parts.append(_delimited(field.number, inner))
            continue
        value = obj.get(field.name)
        if value is None:
            continue
        if field.message.startswith("map:"):
            parts += [_delimited(field.number, _delimited(1, k.encode()) + _pack_one(field.message[4:], 2, v))
                      for k, v in sorted(value.items())]
        elif field.repeated:
            parts += [_pack_field(field, v) for v in value]
        else:
            parts.append(_pack_field(field, value))
    return b"".join(parts)


def _pack_one(kind: str, number: int, value: Any) -> bytes:
    if kind.isdigit():
        return _pack_scalar(int(kind), number, value)
    return _delimited(number, _pack(kind, value))


def _pack_field(field: Field, value: Any) -> bytes:
    if field.type == MESSAGE:
        return _delimited(field.number, _pack(field.message, value))
    return _pack_scalar(field.type, field.number, value)


def _pack_scalar(kind: int, number: int, value: Any) -> bytes:
    if kind == STRING:
        return _delimited(number, str(value).encode())
    if kind == BYTES:
        return _delimited(number, b64decode(value))
    if kind == DOUBLE:
        return _uvarint(number << 3 | 1) + struct.pack("<d", value)
    return _number(number, int(value))


def _pack_time(value: str) -> bytes:
    seconds = clocks.parse_time(value)
    whole = int(seconds // 1)
    return _number(1, whole) + _number(2, round((seconds - whole) * 1e6) * 1000)


def _pack_int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return _number(1, 1) + _number(2, 0) + _delimited(3, value.encode())
    return _number(1, 0) + _number(2, value) + _delimited(3, b"")


def _pack_strings(value: list[str]) -> bytes:
    return b"".join(_delimited(1, v.encode()) for v in value)


_PACK_SPECIAL: dict[str, Callable[[Any], bytes]] = {
    QUANTITY: lambda value: _delimited(1, str(value).encode()),
    INT_OR_STRING: _pack_int_or_string,
    RAW_EXTENSION: lambda value: _delimited(1, codec.dumps(value)),
    META + "Time": _pack_time,
    META + "MicroTime": _pack_time,
    META + "FieldsV1": lambda value: _delimited(1, codec.dumps(value)),
    META + "Verbs": _pack_strings,
    "io.k8s.api.authentication.v1.ExtraValue": _pack_strings,
    "io.k8s.api.authorization.v1.ExtraValue": _pack_strings,
    "io.k8s.api.certificates.v1.ExtraValue": _pack_strings,
}
