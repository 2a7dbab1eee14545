"""What an expression is once parsed. Macros stay nodes of their own: they compile to plain loops.

In: nothing. Out: node classes; `at` is the offset in the source. Called by: parser, check, build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    at: int
    value: Any


@dataclass(frozen=True, slots=True)
class Ident:
    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    at: int
    operand: Node
    field: str
    optional: bool = False  # a.?b


@dataclass(frozen=True, slots=True)
class Has:
    at: int
    operand: Node
    field: str


@dataclass(frozen=True, slots=True)
class Call:
    at: int
    function: str  # "_+_", "!_", "_[_]", "_[?_]", "_?_:_", "size" …
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class List:
    at: int
    items: tuple[Node, ...]
    optional: frozenset[int] = frozenset()  # [?a]


@dataclass(frozen=True, slots=True)
class Map:
    at: int
    entries: tuple[tuple[Node, Node, bool], ...]  # (key, value, optional)


@dataclass(frozen=True, slots=True)
class Struct:
    at: int
    name: str
    entries: tuple[tuple[str, Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """all exists exists_one map filter sortBy transformList transformMap transformMapEntry, optMap, optFlatMap."""

    at: int
    name: str
    range: Node
    variables: tuple[str, ...]
    args: tuple[Node, ...]


Node = Literal | Ident | Select | Has | Call | List | Map | Struct | Macro


def qualified(node: Node | None) -> str:
    """`a.b.c` of a chain of plain selections, or ""."""
    names = []
    while isinstance(node, Select) and not node.optional:
        names.append(node.field)
        node = node.operand
    if not isinstance(node, Ident):
        return ""
    return ".".join([node.name, *reversed(names)])
