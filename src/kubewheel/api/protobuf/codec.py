"""`application/vnd.kubernetes.protobuf`: objects, lists and watch events in their envelopes.

In: JSON dicts, or bytes off the wire. Out: bytes, or the dict that the JSON form would have given.
Called by: apiserver (bodies, render). Source of the rules: the API concepts page (Kubernetes protobuf encoding).

An object on the wire is the magic `k8s\\0` and a runtime.Unknown: `typeMeta` (1), the message as `raw` (2),
`contentEncoding` (3) and `contentType` (4). `raw` of an object, an item of a list (2 in every List) and the object of a
watch event are each "field 2, length, message". So an object is kept as that: an *item*, made once, joined ever after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from kubewheel.api.protobuf import decoder, encoder, kinds, table
from kubewheel.api.protobuf.special import META
from kubewheel.lib import wire
from kubewheel.lib.wire import ProtobufError, delimited, uvarint

__all__ = ["MAGIC", "ProtobufError", "decode", "encode", "envelope", "event", "frame", "item", "knows", "listing",
           "metadata_item", "partial_item", "read_event", "read_frames"]

MAGIC = b"k8s\x00"
Object = dict[str, Any]
knows = table.knows


# -- encoding -----------------------------------------------------------------------------------------------------
def encode(obj: Object, definition: str) -> bytes:
    """An object in its envelope."""
    return envelope(str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""), item(obj, definition))


def item(obj: Object, definition: str) -> bytes:
    """The object as field 2 of whatever holds it."""
    return _item(encoder.packer(definition)(obj))


def _item(raw: bytes) -> bytes:
    size = len(raw)
    return b"\x12" + (uvarint(size) if size > 127 else bytes((size,))) + raw


def envelope(api_version: str, kind: str, made: bytes) -> bytes:
    return _head(api_version, kind) + made + b"\x1a\x00\x22\x00"


@lru_cache(1024)
def _head(api_version: str, kind: str) -> bytes:
    return MAGIC + delimited(1, delimited(1, api_version.encode()) + delimited(2, kind.encode()))


def listing(api_version: str, kind: str, meta: Object, items: Iterable[bytes]) -> bytes:
    """A List in its envelope, of items that are made already."""
    raw = delimited(1, encoder.packer(META + "ListMeta")(meta)) + b"".join(items)
    return envelope(api_version, kind, _item(raw))


def metadata_item(made: bytes) -> bytes:
    """PartialObjectMetadata out of an object's item: metadata is field 1 of every object, and goes first."""
    _, start = wire.varint(made, 1, len(made))
    if made[start:start + 1] != b"\x0a":
        return _item(b"")
    _, stop = wire.span(made, start + 1, len(made))
    return _item(made[start:stop])


def partial_item(obj: Object) -> bytes:
    """PartialObjectMetadata of an object of any kind, custom ones too."""
    return item({"metadata": obj.get("metadata") or {}}, META + "PartialObjectMetadata")


def event(kind: str, made: bytes) -> bytes:
    """A watch event (ADDED …) of an object in its envelope, with its frame: what a watch sends for one change."""
    return frame(delimited(1, kind.encode()) + delimited(2, delimited(1, made)))


def frame(payload: bytes) -> bytes:
    """One message of a stream: its length in four bytes, big-endian, before it."""
    return len(payload).to_bytes(4) + payload


# -- decoding -----------------------------------------------------------------------------------------------------
def decode(raw: bytes, definition_of: Callable[[str, str], str] = kinds.known, *,
           default: tuple[str, str] = ("", "")) -> Object:
    """The object in an envelope. `definition_of(apiVersion, kind)` names its definition, "" for unknown kinds;
    `default` is the (apiVersion, kind) that an envelope which names none is of. ProtobufError."""
    return _guarded(_decode, raw, definition_of, default)


def _guarded(how: Callable[..., Any], *args: Any) -> Any:
    try:
        return how(*args)
    except RecursionError as e:
        raise ProtobufError("exceeded max depth") from e
    except KeyError as e:
        raise ProtobufError(f"no protobuf form of {e} is known") from e


def _decode(raw: bytes, definition_of: Callable[[str, str], str], default: tuple[str, str]) -> Object:
    if not raw:
        raise ProtobufError("empty data")
    if not raw.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    if len(raw) == len(MAGIC):
        raise ProtobufError("empty body")
    unknown = wire.fields(raw, len(MAGIC), len(raw))
    api_version, kind = _types(wire.as_bytes(unknown.get(1, b""), "TypeMeta"))
    api_version, kind = api_version or default[0], kind or default[1]
    for name, value in (("Kind", kind), ("apiVersion", api_version)):
        if not value:
            raise ProtobufError(f"Object '{name}' is missing in "
                                f'\'runtime.TypeMeta{{APIVersion:"{api_version}", Kind:"{kind}"}}\'')
    definition = definition_of(api_version, kind)
    if not definition:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"', api_version=api_version,
                            kind=kind)
    body = wire.as_bytes(unknown.get(2, b""), "Raw")
    out = {"apiVersion": api_version, "kind": kind}
    try:
        return decoder.unpack(definition, body, out)
    except ProtobufError as e:
        raise ProtobufError(str(e), api_version=api_version, kind=kind) from e


@lru_cache(1024)
def _types(raw: bytes) -> tuple[str, str]:
    """(apiVersion, kind) of a TypeMeta."""
    told = wire.fields(raw, 0, len(raw))
    return (wire.as_bytes(told.get(1, b""), "APIVersion").decode(errors="replace"),
            wire.as_bytes(told.get(2, b""), "Kind").decode(errors="replace"))


def read_event(payload: bytes) -> tuple[str, Object]:
    """(type, object) of one message of a watch."""
    found = wire.fields(payload, 0, len(payload))
    extension = wire.as_bytes(found.get(2, b""), "Object")
    raw = wire.as_bytes(wire.fields(extension, 0, len(extension)).get(1, b""), "Raw")
    return wire.as_bytes(found.get(1, b""), "Type").decode(), decode(raw)


def read_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages that a stream's bytes begin with, and what is left of them."""
    out, at = [], 0
    while at + 4 <= len(data):
        stop = at + 4 + int.from_bytes(data[at:at + 4])
        if stop > len(data):
            break
        out.append(data[at + 4:stop])
        at = stop
    return out, data[at:]
