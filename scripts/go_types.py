"""Reads struct types out of a Go program: packages, fields, tags and types, as the program's own reflection would.

In: a linked ELF program of Go 1.22 or newer (amd64). Out: Struct and Field values. Called by: pack_protobuf.py.
Layout: internal/abi Type, StructType, UncommonType, Name of the Go sources; `.typelink` lists where types begin.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

KINDS = ("invalid bool int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 uintptr float32 float64 complex64 "
         "complex128 array chan func interface map ptr slice string struct unsafe").split()
TYPE_SIZE = 48  # bytes of abi.Type
# Bytes between abi.Type and the uncommon part that names the package.
OWN_SIZE = {"ptr": 8, "slice": 8, "struct": 32, "func": 8, "chan": 16, "array": 24, "interface": 32, "map": 56}
UNCOMMON, EXTRA_STAR = 1, 2  # abi.TFlag
HAS_TAG = 2  # flag of an abi.Name


@dataclass(frozen=True)
class Field:
    name: str
    tag: str
    type: Type


class Program:
    def __init__(self, path: Path) -> None:
        self._raw = raw = path.read_bytes()
        start, = struct.unpack_from("<Q", raw, 0x28)
        count, names = struct.unpack_from("<HH", raw, 0x3C)
        rows = [struct.unpack_from("<IIQQQQ", raw, start + 64 * i) for i in range(count)]
        self._sections = {}
        for name, _, _, address, offset, size in rows:
            at = rows[names][4] + name
            self._sections[raw[at:raw.index(b"\0", at)].decode()] = (address, offset, size)
        self._base = self._sections[".rodata"][0]
        self._types: dict[int, Type] = {}

    def types(self) -> list[Type]:
        """Every type that the program's type links lead to."""
        _, at, size = self._sections[".typelink"]
        for (offset,) in struct.iter_unpack("<i", self._raw[at:at + size]):
            self._reach(self.type(self._base + offset))
        return list(self._types.values())

    def _reach(self, first: Type) -> None:
        waiting, seen = [first], self._seen
        while waiting:
            found = waiting.pop()
            if found.address in seen:
                continue
            seen.add(found.address)
            if found.kind in ("ptr", "slice", "array", "chan", "map"):
                waiting.append(found.element)
            elif found.kind == "struct":
                waiting += [f.type for f in found.fields]

    @cached_property
    def _seen(self) -> set[int]:
        return set()

    def type(self, address: int) -> Type:
        found = self._types.get(address)
        if found is None:
            found = self._types[address] = Type(self, address)
        return found

    def at(self, address: int, layout: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._raw, self._offset(address))

    def name(self, address: int) -> tuple[str, str]:
        """(name, struct tag) of an abi.Name."""
        at = self._offset(address)
        flags = self._raw[at]
        text, at = self._text(at + 1)
        return text, self._text(at)[0] if flags & HAS_TAG else ""

    def name_at(self, offset: int) -> str:
        return self.name(self._base + offset)[0]

    def _text(self, at: int) -> tuple[str, int]:
        size = shift = 0
        while True:
            byte = self._raw[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return self._raw[at:at + size].decode(), at + size

    def _offset(self, address: int) -> int:
        for start, offset, size in self._sections.values():
            if start and start <= address < start + size:
                return offset + address - start
        raise KeyError(hex(address))


class Type:
    def __init__(self, program: Program, address: int) -> None:
        self._program = program
        self.address = address
        self._flags, _, _, kind = program.at(address + 20, "<BBBB")
        self.kind = KINDS[kind & 31]

    @cached_property
    def name(self) -> str:
        """`PodSpec`; for unnamed types what Go prints (`[]string`)."""
        offset, = self._program.at(self.address + 40, "<i")
        text = self._program.name_at(offset)
        if self._flags & EXTRA_STAR:
            text = text[1:]
        return text.rpartition(".")[2] if self._flags & UNCOMMON and self.package else text

    @cached_property
    def package(self) -> str:
        """`k8s.io/api/core/v1`; "" for types that have no name of their own."""
        if not self._flags & UNCOMMON:
            return ""
        offset, = self._program.at(self.address + TYPE_SIZE + OWN_SIZE.get(self.kind, 0), "<i")
        return self._program.name_at(offset)

    @cached_property
    def element(self) -> Type:
        """Of a pointer, slice, array or channel; a map's value."""
        address, = self._program.at(self.address + TYPE_SIZE + (8 if self.kind == "map" else 0), "<Q")
        return self._program.type(address)

    @cached_property
    def key(self) -> Type:
        address, = self._program.at(self.address + TYPE_SIZE, "<Q")
        return self._program.type(address)

    @cached_property
    def fields(self) -> list[Field]:
        start, count = self._program.at(self.address + TYPE_SIZE + 8, "<QQ")
        out = []
        for i in range(count):
            name, of, _ = self._program.at(start + 24 * i, "<QQQ")
            out.append(Field(*self._program.name(name), self._program.type(of)))
        return out
