"""Sets of field paths, in the very shape of the wire (FieldsV1), and their algebra.

In/Out: nested dicts such as `{"f:ports": {'k:{"port":80}': {".": {}, "f:port": {}}}}`.
Called by: managed.py, apply.py. Nothing here changes its inputs; results share parts with them.

A set is a dict from path element to the set below. An element is a member if its dict is empty or holds ".".
The root is never a member: an empty root is the empty set.
Elements: `f:<name>`, `k:<JSON of the keys>` (list item), `v:<JSON>` (item of a set), `i:<index>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from kubewheel.api.schema.node import Node

FieldSet = dict[str, Any]

DOT = "."
LEAF: FieldSet = {}  # shared; never changed

# What is not described: maps are granular, lists are atomic (structured-merge-diff's "deduced" type).
DEDUCED = Node("map", preserve_unknown=True)
DEDUCED.values = DEDUCED


class FieldsError(Exception):
    """A value that the schema's lists or maps cannot hold: `.path: why`."""


# --- schema helpers ---------------------------------------------------------------------------------------


def child(node: Node, name: str) -> Node:
    return node.fields.get(name) or node.values or DEDUCED


def is_granular(node: Node, value: Any) -> bool:
    """A map whose members are owned one by one."""
    if not isinstance(value, dict) or node.map_type == "atomic":
        return False
    return node.type in ("object", "map") or node.preserve_unknown


def is_keyed(node: Node, value: Any) -> bool:
    """A list whose items are owned one by one."""
    return isinstance(value, list) and node.type == "list" and node.list_type in ("set", "map")


def items_node(node: Node) -> Node:
    return node.items or DEDUCED


def item_element(node: Node, item: Any) -> str:
    """The path element of an item of a set or map list. FieldsError."""
    if node.list_type == "set":
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    if not isinstance(item, dict):
        raise FieldsError(": associative list with keys may not have non-map elements")
    if len(node.list_map_keys) == 1:  # most lists; spares the encoder a dict
        value = item.get(node.list_map_keys[0])
        if type(value) is str and _PLAIN(value):
            return f'k:{{"{node.list_map_keys[0]}":"{value}"}}'
    keys: dict[str, Any] = {}
    fields = items_node(node).fields
    for key in node.list_map_keys:
        value = item.get(key)
        if value is None:
            described = fields.get(key)
            if described is not None and described.default is not None:
                value = described.default
            elif (key_default := _WELL_KNOWN_DEFAULTS.get(key)) is not None and described is not None:
                value = key_default
            else:
                raise FieldsError(
                    f': associative list with keys has an element that omits key field "{key}"'
                    " (and doesn't have default value)"
                )
        keys[key] = value
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


_PLAIN = re.compile(r"[A-Za-z0-9_./:-]+").fullmatch  # text that JSON writes as it is

# Key fields with a default that older OpenAPI data (v2) leaves out: ContainerPort, ServicePort, HostAlias …
_WELL_KNOWN_DEFAULTS = {"protocol": "TCP"}


def elements(node: Node, items: list[Any]) -> dict[str, Any] | None:
    """Items by path element, in order; None if the list breaks its own type (duplicates, missing keys)."""
    out: dict[str, Any] = {}
    try:
        for item in items:
            out[item_element(node, item)] = item
    except FieldsError:
        return None
    return out if len(out) == len(items) else None


# --- from values ------------------------------------------------------------------------------------------


def applied_set(node: Node, value: Any) -> FieldSet:
    """The fields an applied value sets: leaves, and the items of keyed lists. FieldsError."""
    if is_granular(node, value):
        return {"f:" + name: _applied(child(node, name), member, name) for name, member in value.items()}
    return LEAF


def _applied(node: Node, value: Any, name: str) -> FieldSet:
    try:
        if is_granular(node, value):
            return applied_set(node, value)
        if is_keyed(node, value):
            out: FieldSet = {}
            below = items_node(node)
            for item in value:
                element = item_element(node, item)
                if element in out:
                    raise FieldsError(f": duplicate entries for key {element_text(element)}")
                inner = applied_set(below, item) if node.list_type == "map" else LEAF
                out[element] = {DOT: LEAF, **inner} if inner else LEAF
            return out
    except FieldsError as e:
        raise FieldsError(f".{name}{e}") from e
    return LEAF


def whole_set(node: Node, value: Any) -> FieldSet:
    """Everything in a value that was not there before: containers are members too."""
    out: FieldSet = {}
    if is_granular(node, value):
        for name, member in value.items():
            out["f:" + name] = whole_set(child(node, name), member)
    elif is_keyed(node, value):
        below = items_node(node)
        found = elements(node, value)
        if found is not None:
            for element, item in found.items():
                out[element] = whole_set(below, item) if node.list_type == "map" else LEAF
    return {DOT: LEAF, **out} if out else LEAF


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
    return out


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


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Members as upstream prints them, sorted: `.spec.containers[name="a"].image`."""
    for element in sorted((e for e in fields if e != DOT), key=sort_key):
        below = fields[element]
        here = prefix + element_text(element)
        if is_member(below):
            yield here
        yield from paths(below, here)


# --- the wire ---------------------------------------------------------------------------------------------


def element_text(element: str) -> str:
    kind, text = element[0], element[2:]
    if kind == "f":
        return "." + text
    if kind == "k":
        keys = orjson.loads(text)
        return "[" + ",".join(f"{k}={_json(v)}" for k, v in sorted(keys.items())) + "]"
    if kind == "v":
        return f"[={text}]"
    return f"[{text}]"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


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
    return (4, _json(value))
