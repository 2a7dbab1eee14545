"""Protobuf messages to JSON dicts: what Go would decode and then write as JSON, without its nulls.

In: bytes of a message and its definition. Out: a private dict; ProtobufError. Called by: codec.py.

Two ways with one meaning. The quick one knows what Go's marshallers write: fields in the order of their numbers, each
once, texts in UTF-8. Each definition becomes a Python function when it is first used, that looks for its fields one
after the other. Whatever else comes (unknown fields, another order, packed lists, cut bytes) is walker.py's, from the
start. tests/api/test_protobuf_walks.py compares the two.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from kubewheel.api.protobuf import table, walker
from kubewheel.api.protobuf.special import SPECIAL, int32
from kubewheel.api.protobuf.table import BOOL, BYTES, DOUBLE, INLINE, INT32, KEPT, MAP, POINTER, REPEATED, STRING, Row
from kubewheel.lib.wire import uvarint, varint

Object = dict[str, Any]
Unpack = Callable[[bytes, int, int, Object], Object]


class Irregular(Exception):
    """The quick way met something that needs the exact one."""


def unpack(definition: str, data: bytes, out: Object) -> Object:
    """`out` with the message's fields. ProtobufError; KeyError for a definition that has no table."""
    try:
        return quick(definition)(data, 0, len(data), dict(out))
    except (Irregular, IndexError, UnicodeDecodeError):
        return walker.message(definition).unpack(data, 0, len(data), out)


@cache
def quick(definition: str) -> Unpack:
    """(data, start, end, out) -> out. Irregular, IndexError or UnicodeDecodeError where it does not know its way."""
    names: dict[str, Any] = {"varint": varint, "int32": int32, "int64": walker.int64, "b64encode": b64encode,
                             "Irregular": Irregular}
    lines = ["def unpack(data, at, end, out):", " if at == end: return out", " tag = data[at]"]
    wide = False
    for row in table.rows(definition):
        tag = uvarint(row.number << 3 | walker.WIRES.get(row.type, 0)) if row.mode != MAP else uvarint(row.number << 3 | 2)
        if len(tag) == 2 and not wide:
            wide = True
            lines.append(" if tag > 127: tag |= data[at + 1] << 8")
        lines += [f" {line}" for line in _field(row, tag, names)]
    lines.append(" raise Irregular")
    exec(compile("\n".join(lines), f"<protobuf {definition}>", "exec"), names)
    return names["unpack"]


def _field(row: Row, tag: bytes, names: dict[str, Any]) -> list[str]:
    """Source that takes a field, if it is next. Tags of two bytes stand as little-endian numbers."""
    number = int.from_bytes(tag, "little")
    after = ["if at >= end:", " if at == end: return out", " raise Irregular", "tag = data[at]"]
    if len(tag) == 2:
        after.append("if tag > 127: tag |= data[at + 1] << 8")
    if row.type == DOUBLE:
        return []  # of JSON schemas only
    if row.mode in (REPEATED, MAP):
        empty = "[]" if row.mode == REPEATED else "{}"
        return [f"if tag == {number}:", f" items = out[{row.name!r}] = {empty}", f" while tag == {number}:",
                *(f"  {line}" for line in [*_value(row, len(tag), names), *after])]
    return [f"if tag == {number}:", *(f" {line}" for line in [*_value(row, len(tag), names), *after])]


def _value(row: Row, skip: int, names: dict[str, Any]) -> list[str]:
    """Source that takes the value after a tag of `skip` bytes, and leaves `at` behind it."""
    keep = row.omit == KEPT or row.mode == POINTER and row.type != BYTES
    if row.mode != MAP and row.type not in walker.WIRES:
        convert = {BOOL: "value != 0", INT32: "value if value < 128 else int32(value)"}.get(
            row.type, "value if value < 128 else int64(value)")
        return [f"value = data[at + {skip}]", f"if value < 128: at += {skip + 1}",
                f"else: value, at = varint(data, at + {skip}, end)", _store(row, convert, "value" if not keep else "")]
    lines = [f"size = data[at + {skip}]", f"if size < 128: start = at + {skip + 1}",
             f"else: size, start = varint(data, at + {skip}, end)", "at = start + size"]
    if row.mode == MAP:
        names[f"entry{row.number}"] = _entry(row)
        return [*lines, f"entry{row.number}(data, start, at, items)"]
    if row.type == STRING:
        return [*lines, _store(row, "data[start:at].decode()", "size" if not keep else "")]
    if row.type == BYTES:
        return [*lines, _store(row, "b64encode(data[start:at]).decode()", "size" if not keep else "")]
    special, of = SPECIAL.get(row.of), f"of{row.number}"
    if special is not None:
        names[of] = special.unpack
        if row.mode == REPEATED:
            return [*lines, f"items.append({of}(data, start, at))"]
        return [*lines, f"value = {of}(data, start, at)", f"if value is not None: out[{row.name!r}] = value"]
    names[of] = _later(names, of, row.of)
    if row.mode == INLINE:
        return [*lines, f"{of}(data, start, at, out)"]
    return [*lines, _store(row, f"{of}(data, start, at, {{}})", "")]


def _store(row: Row, value: str, where: str) -> str:
    if row.mode == REPEATED:
        return f"items.append({value})"
    return f"{f'if {where}: ' if where else ''}out[{row.name!r}] = {value}"


def _later(names: dict[str, Any], name: str, definition: str) -> Unpack:
    def first(data: bytes, at: int, end: int, out: Object) -> Object:
        names[name] = made = quick(definition)
        return made(data, at, end, out)

    return first


def _entry(row: Row) -> Callable[[bytes, int, int, Object], None]:
    """One entry of a map: key, then value."""
    value_of = _member(row)

    def take(data: bytes, at: int, stop: int, items: Object) -> None:
        if data[at] != 10:
            raise Irregular
        size, start = data[at + 1], at + 2
        if size > 127:
            size, start = varint(data, at + 1, stop)
        at = start + size
        key = data[start:at].decode()
        if data[at] != 18:
            raise Irregular
        size, start = data[at + 1], at + 2
        if size > 127:
            size, start = varint(data, at + 1, stop)
        if start + size != stop:
            raise Irregular
        items[key] = value_of(data, start, stop)

    return take


def _member(row: Row) -> Callable[[bytes, int, int], Any]:
    if row.type == STRING:
        return lambda data, at, stop: data[at:stop].decode()
    if row.type == BYTES:
        return lambda data, at, stop: b64encode(data[at:stop]).decode()
    special, of = SPECIAL.get(row.of), row.of
    if special is not None:
        return special.unpack
    return lambda data, at, stop: quick(of)(data, at, stop, {})


