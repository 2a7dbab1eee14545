"""JSON dicts to protobuf messages, byte for byte what Go's generated marshallers write.

In: a dict (read-only) and its definition. Out: bytes. Called by: codec.py, special.py.

Each definition becomes a Python function when it is first used, written out of its table: one look-up a field, then
its bytes; a field that is not set gives its blank, which is the zero of Go's plain fields and nothing for pointers,
lists and maps. Unknown keys and nulls are left out. Source text is made for speed alone (half the time of closures);
what is in it are names of this module's making, never a client's words.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from typing import Any

from kubewheel.api.protobuf import table
from kubewheel.api.protobuf.special import SPECIAL
from kubewheel.api.protobuf.table import BOOL, BYTES, DOUBLE, INLINE, MAP, MESSAGE, POINTER, REPEATED, STRING, VALUE, Row
from kubewheel.lib.wire import SHORT, delimited, heads, sized, uvarint

Pack = Callable[[Any], bytes]
REMEMBERED = 64  # texts of a field; enough for those that are one of a few (`Always`, `TCP`, `Running`)


@cache
def packer(definition: str) -> Pack:
    """A dict to its message. KeyError for a definition that has no table."""
    rows = table.rows(definition)
    if len(rows) > 8 and all(row.mode == POINTER for row in rows):
        return _choice(rows)
    names: dict[str, Any] = {"sized": sized}
    lines = ["def pack(obj):", " get = obj.get"]
    for i, row in enumerate(rows):
        names |= {f"blank{i}": _blank(row), f"heads{i}": heads(row.number)}
        if row.mode == INLINE:
            names[f"put{i}"] = _later(names, f"put{i}", row.of)
            lines.append(f" field{i} = sized(heads{i}, put{i}(obj))")
        else:
            lines += [f" value = get({row.name!r})", f" if value is None: field{i} = blank{i}", " else:"]
            lines += [f"  {line}" for line in _lines(i, row, names)]
    fields = "".join(f"field{i}, " for i in range(len(rows)))
    lines.append(f" return b''.join(({fields}))")
    exec(compile("\n".join(lines), f"<protobuf {definition}>", "exec"), names)
    return names["pack"]


def _lines(i: int, row: Row, names: dict[str, Any]) -> list[str]:
    """`value`, which is there, becomes `field{i}`."""
    if row.type == STRING and row.mode != MAP:
        names[f"texts{i}"] = Texts(row.number)
        if row.mode == REPEATED:
            return [f"field{i} = b''.join([texts{i}[v] for v in value])"]
        return [f"field{i} = texts{i}[value]"]
    if row.type == MESSAGE and row.mode != MAP:
        special = SPECIAL.get(row.of)
        names[f"put{i}"] = special.pack if special is not None else _later(names, f"put{i}", row.of)
        if row.mode == REPEATED:
            return [f"field{i} = b''.join([sized(heads{i}, put{i}(v)) for v in value])"]
        return [f"raw = put{i}(value)", "size = len(raw)",
                f"field{i} = heads{i}[size] + raw if size < {SHORT} else sized(heads{i}, raw)"]
    put = _map(row) if row.mode == MAP else _number(row)
    names[f"put{i}"] = (lambda values: b"".join([put(v) for v in values])) if row.mode == REPEATED else put
    return [f"field{i} = put{i}(value)"]


def _later(names: dict[str, Any], name: str, definition: str) -> Pack:
    """The definition's packer, made when it is needed: definitions may lead back to themselves."""

    def first(value: Any) -> bytes:
        names[name] = made = packer(definition)
        return made(value)

    return first


class Texts(dict[str, bytes]):
    """Text -> the whole field. The first ones are remembered: most fields hold one of a few."""

    __slots__ = ("_heads",)

    def __init__(self, number: int) -> None:
        self._heads = heads(number)

    def __missing__(self, text: str) -> bytes:
        made = sized(self._heads, text.encode())
        if len(self) < REMEMBERED and len(made) < SHORT:
            self[text] = made
        return made


def _choice(rows: list[Row]) -> Pack:
    """Many fields of which one is set (VolumeSource): a look at what is there instead of at what could be."""
    puts = {row.name: (row.number, _single(row)) for row in rows}

    def pack(obj: dict[str, Any]) -> bytes:
        found = []
        for key, value in obj.items():
            put = puts.get(key)
            if put is not None and value is not None:
                found.append((put[0], put[1](value)))
        if len(found) == 1:
            return found[0][1]
        return b"".join([raw for _, raw in sorted(found)])

    return pack


def _blank(row: Row) -> bytes:
    if row.mode not in (VALUE, INLINE):
        return b""
    if row.type == MESSAGE:
        special = SPECIAL.get(row.of)
        return delimited(row.number, special.zero if special is not None else packer(row.of)({}))
    if row.type == DOUBLE:
        return uvarint(row.number << 3 | 1) + bytes(8)
    return heads(row.number)[0] if row.type == STRING else uvarint(row.number << 3) + b"\0"


# -- values with their tags -----------------------------------------------------------------------------------------
def _single(row: Row) -> Pack:
    if row.type == STRING:
        return Texts(row.number).__getitem__
    if row.type == MESSAGE:
        starts, special, of = heads(row.number), SPECIAL.get(row.of), row.of
        if special is not None:
            return lambda value: sized(starts, special.pack(value))
        return lambda value: sized(starts, packer(of)(value))
    return _number(row)


def _number(row: Row) -> Pack:
    """Numbers, booleans and bytes."""
    if row.type == BYTES:
        starts = heads(row.number)
        return lambda value: sized(starts, b64decode(value))
    if row.type == DOUBLE:
        tag = uvarint(row.number << 3 | 1)
        return lambda value: tag + struct.pack("<d", value)
    tag = uvarint(row.number << 3)
    if row.type == BOOL:
        no, yes = tag + b"\0", tag + b"\1"
        return lambda value: yes if value else no
    small = [tag + bytes((n,)) for n in range(SHORT)]
    return lambda value: small[value] if value.__class__ is int and 0 <= value < SHORT else tag + uvarint(int(value))


def _map(row: Row) -> Pack:
    """Entries in the order of their keys, as Go's stable marshallers write them."""
    starts, keys = heads(row.number), Texts(1)
    if row.type == STRING:
        put = Texts(2).__getitem__
    else:
        put = _single(row._replace(number=2))
    return lambda entries: b"".join([sized(starts, keys[key] + put(entries[key])) for key in sorted(entries)])
