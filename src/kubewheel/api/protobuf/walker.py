"""The exact way from a protobuf message to a JSON dict: any order of fields, unknown ones, all that may go wrong.

In: bytes of a message and its definition. Out: a private dict; ProtobufError. Called by: decoder.py, where its quick way
meets what Go's marshallers do not write.

Rules, as Go's generated decoders have them: unknown fields are skipped, the last value of a field counts, messages
that come twice are merged, lists of numbers may be packed. A plain field's zero means "not set" unless Go's JSON writes
it (no omitempty); a pointer's zero was set on purpose. Absent map values are their type's zero.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from kubewheel.api.protobuf import table
from kubewheel.api.protobuf.special import SPECIAL, int32
from kubewheel.api.protobuf.table import (
    BOOL,
    BYTES,
    DOUBLE,
    INLINE,
    INT32,
    KEPT,
    MAP,
    MESSAGE,
    POINTER,
    REPEATED,
    STRING,
    Row,
)
from kubewheel.lib import wire
from kubewheel.lib.wire import ProtobufError, varint

Object = dict[str, Any]
Take = Callable[[bytes, int, int, Object], None]  # (data, start, stop, out): one value goes into `out`
Convert = Callable[[int], Any]

WIRES = {DOUBLE: wire.FIXED64, STRING: wire.BYTES, BYTES: wire.BYTES, MESSAGE: wire.BYTES}


class Message:
    """`unpack` of one definition; compiled when it is first used."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        # Tag -> (JSON name, whether zeros are kept, how a value is taken; None: a text).
        self._takes: dict[int, tuple[str, bool, Take | None]] = {}
        self._counts: dict[int, tuple[str, bool, Convert]] = {}  # tag -> the same for numbers
        self._rows: dict[int, Row] = {}
        self._compiled = False

    def unpack(self, data: bytes, at: int, end: int, out: Object) -> Object:
        """`out` with the fields of data[at:end] added."""
        if not self._compiled:
            self._compile()
        texts, numbers = self._takes.get, self._counts.get
        while at < end:
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = varint(data, at - 1, end)
            found = texts(tag)
            if found is not None:
                size = data[at] if at < end else 128
                if size < 128:
                    at += 1
                    stop = at + size
                    if stop > end:
                        raise ProtobufError("unexpected EOF")
                else:
                    at, stop = wire.span(data, at, end)
                name, keep, take = found
                if take is not None:
                    take(data, at, stop, out)
                elif size or keep:
                    out[name] = data[at:stop].decode("utf-8", "replace")
                elif name in out:
                    del out[name]
                at = stop
                continue
            count = numbers(tag)
            if count is None:
                at = self._other(data, at, end, tag, out)
                continue
            value = data[at] if at < end else 128
            if value < 128:
                at += 1
            else:
                value, at = varint(data, at, end)
            name, keep, convert = count
            if value or keep:
                out[name] = convert(value)
            elif name in out:
                del out[name]
        return out

    def _other(self, data: bytes, at: int, end: int, tag: int, out: Object) -> int:
        """What is rare: lists of numbers, doubles, unknown fields, and fields of a wrong wire type."""
        number, kind = tag >> 3, tag & 7
        row = self._rows.get(number)
        if number == 0 or kind == wire.END_GROUP:
            what = f"illegal tag {number} (wire type {kind})" if not number else "wiretype end group for non-group"
            raise ProtobufError(f"proto: {self._definition.rpartition('.')[2]}: {what}")
        if row is None:
            return wire.skip(data, at, end, kind)
        if row.type == DOUBLE and kind == wire.FIXED64:
            if at + 8 > end:
                raise ProtobufError("unexpected EOF")
            out[row.name] = struct.unpack_from("<d", data, at)[0]
            return at + 8
        if row.mode == REPEATED and row.type not in WIRES and kind in (wire.VARINT, wire.BYTES):
            if kind == wire.VARINT:
                at, stop = at, varint(data, at, end)[1]
            else:
                at, stop = wire.span(data, at, end)
            while at < stop:
                value, at = varint(data, at, stop)
                out.setdefault(row.name, []).append(_CONVERTS[row.type](value))
            return at
        raise ProtobufError(f"proto: wrong wireType = {kind} for field {row.name[:1].upper()}{row.name[1:]}")

    def _compile(self) -> None:
        for row in table.rows(self._definition):
            self._rows[row.number] = row
            tag = row.number << 3 | WIRES.get(row.type, wire.VARINT)
            keep = row.omit == KEPT or row.mode == POINTER and row.type != BYTES
            if row.mode == MAP:
                self._takes[row.number << 3 | wire.BYTES] = row.name, keep, _map(row)
            elif row.mode == REPEATED:
                if row.type in WIRES:
                    self._takes[tag] = row.name, keep, _repeated(row)
            elif row.type in (MESSAGE, BYTES):
                self._takes[tag] = row.name, keep, _single(row, keep)
            elif row.type == STRING:
                self._takes[tag] = row.name, keep, None
            elif row.type != DOUBLE:
                self._counts[tag] = row.name, keep, _CONVERTS[row.type]
        self._compiled = True


@cache
def message(definition: str) -> Message:
    """KeyError, when it is used, for a definition that has no table."""
    return Message(definition)


def int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_CONVERTS: dict[int, Convert] = {BOOL: bool, INT32: int32, table.INT64: int64}


# -- values that are no plain texts or numbers ------------------------------------------------------------------------
def _single(row: Row, keep: bool) -> Take:
    name = row.name
    if row.type == BYTES:
        def take_bytes(data: bytes, at: int, stop: int, out: Object) -> None:
            if stop > at or keep:
                out[name] = b64encode(data[at:stop]).decode()
            else:
                out.pop(name, None)

        return take_bytes
    special = SPECIAL.get(row.of)
    if special is not None:
        unpack = special.unpack

        def take_special(data: bytes, at: int, stop: int, out: Object) -> None:
            value = unpack(data, at, stop)
            if value is not None:  # the zero time, an absent raw value: null in JSON
                out[name] = value

        return take_special
    of = message(row.of).unpack
    if row.mode == INLINE:
        def take_embedded(data: bytes, at: int, stop: int, out: Object) -> None:
            of(data, at, stop, out)

        return take_embedded

    def take(data: bytes, at: int, stop: int, out: Object) -> None:
        inner = out.get(name)
        if inner is None:
            inner = out[name] = {}
        of(data, at, stop, inner)

    return take


def _repeated(row: Row) -> Take:
    name, value_of = row.name, _value(row)

    def take(data: bytes, at: int, stop: int, out: Object) -> None:
        value = value_of(data, at, stop)
        known = out.get(name)
        if known is None:
            out[name] = [value]
        else:
            known.append(value)

    return take


def _value(row: Row) -> Callable[[bytes, int, int], Any]:
    """One value that stands alone: a member of a list, a value of a map."""
    if row.type == STRING:
        return lambda data, at, stop: data[at:stop].decode("utf-8", "replace")
    if row.type == BYTES:
        return lambda data, at, stop: b64encode(data[at:stop]).decode()
    special = SPECIAL.get(row.of)
    if special is not None:
        return special.unpack
    unpack = message(row.of).unpack
    return lambda data, at, stop: unpack(data, at, stop, {})


def _map(row: Row) -> Take:
    name, value_of = row.name, _value(row)

    def take(data: bytes, at: int, stop: int, out: Object) -> None:
        key, start, end = "", stop, stop  # an absent value is an empty one
        while at < stop:
            tag, at = varint(data, at, stop)
            if tag == 0x0A:
                first, at = wire.span(data, at, stop)
                key = data[first:at].decode("utf-8", "replace")
            elif tag == 0x12:
                start, end = wire.span(data, at, stop)
                at = end
            else:
                at = wire.skip(data, at, stop, tag & 7)
        value = value_of(data, start, end)
        known = out.get(name)
        if known is None:
            out[name] = {key: value}
        else:
            known[key] = value

    return take
