"""Sets of field paths, in the very shape of the wire (FieldsV1), and their algebra.

In/Out: nested dicts such as `{"f:ports": {'k:{"port":80}': {".": {}, "f:port": {}}}}`.
Called by: typed.py, managed.py, apply.py. Nothing here changes its inputs; results share parts with them.
Sets are kept in the order of the wire ("." first, then by element); what is made here stays so if its inputs are.

A set is a dict from path element to the set below. An element is a member if its dict is empty or holds ".".
The root is never a member: an empty root is the empty set.
Elements: `f:<name>`, `k:<JSON of the keys>` (list item), `v:<JSON>` (item of a set), `i:<index>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson

FieldSet = dict[str, Any]

DOT = "."
LEAF: FieldSet = {}  # shared; never changed


class FieldsError(Exception):
    """A value that the schema's lists or maps cannot hold: `.path: why`."""


# --- algebra ----------------------------------------------------------------------------------------------


def is_member(below: FieldSet) -> bool:
    return not below or DOT in below


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """Of two roots."""
    if not a:
        return b
    if not b:
        return a
    return _union(a, b)


def _union(a: FieldSet, b: FieldSet) -> FieldSet:
    if a is b:
        return a
    if not a or not b:
        other = a or b
        return other if is_member(other) else {DOT: LEAF, **other}
    out = dict(a)
    for element, below in b.items():
        mine = out.get(element)
        out[element] = below if mine is None else _union(mine, below)
    return out if len(out) == len(a) else in_order(out)


def in_order(level: FieldSet) -> FieldSet:
    """One level of a set with its elements in the order of the wire."""
    if len(level) < 2:
        return level
    names = list(level)
    ordered = sorted(names) if names[-1][0] == "f" else sorted(names, key=sort_key)
    return level if ordered == names else {element: level[element] for element in ordered}


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Members of the root `a` that are not members of the root `b`."""
    if not a or not b:
        return a
    return _difference(a, b, member=False) or {}


def _difference(a: FieldSet, b: FieldSet, *, member: bool) -> FieldSet | None:
    out: FieldSet = {}
    changed = False
    for element, below in a.items():
        if element == DOT:
            continue
        theirs = b.get(element)
        if theirs is None:
            out[element] = below
            continue
        rest = _difference(below, theirs, member=is_member(below) and not is_member(theirs))
        changed = changed or rest is not below
        if rest is not None:
            out[element] = rest
    if not changed and member == is_member(a) and (out or member):
        return a
    if member:
        return {DOT: LEAF, **out} if out else out
    return out or None


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """Of two roots."""
    return _intersection(a, b, member=False) or {}


def _intersection(a: FieldSet, b: FieldSet, *, member: bool) -> FieldSet | None:
    out: FieldSet = {}
    for element, below in a.items():
        theirs = b.get(element) if element != DOT else None
        if theirs is None:
            continue
        both = _intersection(below, theirs, member=is_member(below) and is_member(theirs))
        if both is not None:
            out[element] = both
    if member:
        return {DOT: LEAF, **out} if out else out
    return out or None


def exclude(fields: FieldSet, without: FieldSet) -> FieldSet:
    """The root `fields` less the members of `without` and all below them (upstream's ResetFields)."""
    out = fields
    for element, below in without.items():
        mine = out.get(element)
        if mine is None or element == DOT:
            continue
        rest = exclude(mine, below) if below else None
        if rest is mine:
            continue
        if out is fields:
            out = dict(fields)
        if not rest:
            del out[element]
        else:
            out[element] = LEAF if len(rest) == 1 and DOT in rest else rest
    return out


def include(fields: FieldSet, pattern: FieldSet) -> FieldSet:
    """Only what lies at or below the leaves of `pattern`, in which the element "*" stands for any."""
    if not pattern:
        return fields
    out: FieldSet = {}
    for element, below in fields.items():
        inner = pattern.get(element, pattern.get("*"))
        if inner is None or element == DOT:
            continue
        if not inner:
            out[element] = below
        elif kept := include(below, inner):
            out[element] = kept
    return fields if len(out) == len(fields) and all(out[e] is fields[e] for e in out) else out


def of_paths(given: Iterable[tuple[str, ...]]) -> FieldSet:
    """The set of plain fields: `(("spec", "replicas"),)`. No path may lead through another."""
    out: FieldSet = {}
    for path in given:
        level = out
        for name in path[:-1]:
            level = level.setdefault("f:" + name, {})
        level["f:" + path[-1]] = LEAF
    return canonical(out)


def has(fields: FieldSet, path: tuple[str, ...]) -> bool:
    """Whether the field at `path` (names) is a member."""
    for name in path:
        below = fields.get("f:" + name)
        if below is None:
            return False
        fields = below
    return is_member(fields)


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Members as upstream prints them: `.spec.containers[name="a"].image`; those of one level before deeper ones."""
    names = [e for e in fields if e != DOT]
    for element in names:
        if is_member(fields[element]):
            yield prefix + element_text(element)
    for element in names:
        if fields[element]:
            yield from paths(fields[element], prefix + element_text(element))


# --- the wire ---------------------------------------------------------------------------------------------


def element_text(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "f":
        return "." + text
    if kind == "k":
        keys = orjson.loads(text)
        return "[" + ",".join(f"{k}={json_text(v)}" for k, v in sorted(keys.items())) + "]"
    if kind == "v":
        return f"[={text}]"
    return f"[{text}]"


def json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def is_readable(fields: Any) -> bool:
    """Whether this is a set at all: elements with a colon and a value that their kind can have; those of kinds nobody knows
    count for nothing."""
    return fields is None or isinstance(fields, dict) and all(
        _is_element(element) and is_readable(below) for element, below in fields.items())


def _is_element(text: str) -> bool:
    if len(text) < 2:
        return True
    try:
        if text[0] == "i":
            int(text[2:])
        elif text[0] in "kv" and (not isinstance(orjson.loads(text[2:]), dict) and text[0] == "k"):
            return False
    except ValueError:
        return False
    return text[1] == ":"


def canonical(fields: FieldSet) -> FieldSet:
    """Members in upstream's order: ".", fields, keys, values, indexes. Unknown elements are dropped."""
    if len(fields) < 2 and all(not below for below in fields.values()):
        return fields
    return {e: canonical(fields[e]) for e in sorted(fields, key=sort_key) if e == DOT or e[:2] in _RANK}


_RANK = {"f:": 1, "k:": 2, "v:": 3, "i:": 4}


@lru_cache(maxsize=20_000)
def sort_key(element: str) -> tuple[Any, ...]:
    rank = _RANK.get(element[:2], 0)
    if rank == 1:
        return (1, element)
    if rank == 2:
        return (2, tuple((k, _scalar_key(v)) for k, v in sorted(orjson.loads(element[2:]).items())))
    if rank == 3:
        return (3, _scalar_key(orjson.loads(element[2:])))
    return (4, int(element[2:])) if rank == 4 else (0, element)


def _scalar_key(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (3, value)
    if isinstance(value, (int, float)):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    return (4, json_text(value))
