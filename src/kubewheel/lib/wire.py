"""protobuf's wire format: varints, lengths, what is skipped; and what goes wrong, in the words of Go's generated decoders.

In/Out: bytes and numbers. Called by: api/protobuf, OpenAPI documents, profiles, the kubelet's events of containers.
Source of the rules: the protobuf encoding page; gogo/protobuf's errors.
"""

from __future__ import annotations

from functools import cache

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
SHORT = 128  # lengths below take one byte
MAX_LENGTH = 1 << 63


class ProtobufError(ValueError):
    """The bytes are no message of the kind they claim. `kind` is set where so much could be read."""

    def __init__(self, message: str, *, api_version: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.api_version = api_version
        self.kind = kind


# -- writing ------------------------------------------------------------------------------------------------------
def uvarint(value: int) -> bytes:
    """Negative numbers are written as their 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@cache
def heads(number: int) -> tuple[bytes, ...]:
    """Tag and length of a length-delimited field, for each length below SHORT; the last member is the tag alone."""
    tag = uvarint(number << 3 | BYTES)
    return (*(tag + bytes((size,)) for size in range(SHORT)), tag)


def sized(starts: tuple[bytes, ...], data: bytes) -> bytes:
    """A length-delimited field; `starts` are its number's heads."""
    size = len(data)
    if size < SHORT:
        return starts[size] + data
    if size < 1 << 14:
        return starts[-1] + bytes((size & 127 | 128, size >> 7)) + data
    return starts[-1] + uvarint(size) + data


def delimited(number: int, data: bytes) -> bytes:
    return sized(heads(number), data)


def number_field(number: int, value: int) -> bytes:
    return uvarint(number << 3 | VARINT) + uvarint(value)


# -- reading ------------------------------------------------------------------------------------------------------
def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(value, position after it)."""
    if at + 1 < end and (high := data[at + 1]) < 128 <= data[at]:  # two bytes: most lengths that are not one
        return data[at] & 0x7F | high << 7, at + 2
    shift = result = 0
    while True:
        if at >= end:
            raise ProtobufError("unexpected EOF")
        if shift > 63:
            raise ProtobufError("proto: integer overflow")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def span(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(start, stop) of a length-delimited value whose length stands at `at`."""
    size, at = varint(data, at, end)
    if size >= MAX_LENGTH:
        raise ProtobufError("proto: negative length found during unmarshaling")
    if at + size > end:
        raise ProtobufError("unexpected EOF")
    return at, at + size


def skip(data: bytes, at: int, end: int, wire: int) -> int:
    """The position after a value of an unknown field; groups with all that is in them."""
    depth = 0
    while True:
        if wire == VARINT:
            _, at = varint(data, at, end)
        elif wire == BYTES:
            _, at = span(data, at, end)
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
            if at > end:
                raise ProtobufError("unexpected EOF")
        elif wire == GROUP:
            depth += 1
        elif wire == END_GROUP:
            if not depth:
                raise ProtobufError("proto: unexpected end of group")
            depth -= 1
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}")
        if not depth:
            return at
        tag, at = varint(data, at, end)
        wire = tag & 7


def fields(data: bytes, at: int, end: int) -> dict[int, int | bytes]:
    """A small message whole: number -> its last value (varints and bytes; others are skipped)."""
    out: dict[int, int | bytes] = {}
    while at < end:
        tag, at = varint(data, at, end)
        if tag & 7 == VARINT:
            out[tag >> 3], at = varint(data, at, end)
        elif tag & 7 == BYTES:
            start, at = span(data, at, end)
            out[tag >> 3] = data[start:at]
        else:
            at = skip(data, at, end, tag & 7)
    return out


def as_bytes(value: int | bytes, name: str) -> bytes:
    if isinstance(value, int):
        raise ProtobufError(f"proto: wrong wireType = {VARINT} for field {name}")
    return value


def as_int(value: int | bytes, name: str) -> int:
    """Signed."""
    if not isinstance(value, int):
        raise ProtobufError(f"proto: wrong wireType = {BYTES} for field {name}")
    return value - (1 << 64) if value >> 63 else value
