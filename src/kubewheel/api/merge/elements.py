"""How the schema sees a value: which maps and lists are owned member by member, and what names a list's items.

In: Nodes and JSON values. Out: yes or no, child nodes, path elements; FieldsError.
Called by: typed.py, conform.py, merging.py. Source of the rules: structured-merge-diff, the API's merge strategies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from kubewheel.api.merge.fields import FieldsError
from kubewheel.api.protobuf import table
from kubewheel.api.schema.node import Node

# What is not described: maps are granular, lists are atomic (structured-merge-diff's "deduced" type).
DEDUCED = Node("map", preserve_unknown=True)
DEDUCED.values = DEDUCED

# Definitions that hold any JSON and are owned field by field all the same.
_DEDUCED_DEFINITIONS = ("io.k8s.apimachinery.pkg.runtime.RawExtension", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")
# Key fields with a default that older OpenAPI data (v2) leaves out: ContainerPort, ServicePort.
_KEY_DEFAULTS = {"protocol": "TCP"}
_KNOWN_ELEMENTS = 4096  # remembered per list type; then it begins anew
_PLAIN = re.compile(r"[A-Za-z0-9_./:-]+").fullmatch  # text that JSON writes as it is

_ABSENT = ()  # stands for a key that is not there, which is not the same as null
_KEY_TYPES = (str, int, type(None), tuple)

Name = Callable[[Any], str]


def child(node: Node, name: str) -> Node:
    return node.fields.get(name) or node.values or DEDUCED


def items_node(node: Node) -> Node:
    return node.items or DEDUCED


def is_map(node: Node) -> bool:
    """Maps of this type are owned member by member."""
    if node.map_type == "atomic":
        return False
    return node.type in ("object", "map") or node.preserve_unknown or node.definition in _DEDUCED_DEFINITIONS


def is_keyed(node: Node) -> bool:
    """Lists of this type are owned item by item."""
    return node.type == "list" and node.list_type in ("set", "map")


def is_granular(node: Node, value: Any) -> bool:
    return isinstance(value, dict) and is_map(node)


def namer(node: Node) -> Name:
    """For a keyed list: the path element of an item. FieldsError with structured-merge-diff's words."""
    if node.list_type == "set":
        return set_element
    return _one_key(node) if len(node.list_map_keys) == 1 else _many_keys(node)


def _one_key(node: Node) -> Name:
    key, known = node.list_map_keys[0], dict[str, str]()

    def element(item: Any) -> str:
        value = item.get(key) if isinstance(item, dict) else None
        if value.__class__ is not str:
            return _key_element(node, item)
        found = known.get(value)
        if found is None:
            found = _key_element(node, item)
            _remember(known, value, found)
        return found

    return element


def _many_keys(node: Node) -> Name:
    keys, known = node.list_map_keys, dict[Any, str]()

    def element(item: Any) -> str:
        if not isinstance(item, dict):
            return _key_element(node, item)
        values = tuple([item.get(key, _ABSENT) for key in keys])
        try:
            return known[values]
        except (KeyError, TypeError):
            made = _key_element(node, item)
        if all(value.__class__ in _KEY_TYPES for value in values):
            _remember(known, values, made)
        return made

    return element


def _remember(known: dict[Any, str], value: Any, element: str) -> None:
    if len(known) >= _KNOWN_ELEMENTS:
        known.clear()
    known[value] = element


def set_element(item: Any) -> str:
    if item.__class__ is str and _PLAIN(item):
        return f'v:"{item}"'
    if isinstance(item, dict):
        raise FieldsError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise FieldsError("not supported: associative list with lists as elements")
    if item is None:
        raise FieldsError("associative list without keys has an element that's an explicit null")
    return "v:" + orjson.dumps(item).decode()


def _key_element(node: Node, item: Any) -> str:
    if item is None:
        raise FieldsError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise FieldsError("associative list with keys may not have non-map elements")
    names = node.list_map_keys
    if len(names) == 1 and isinstance(item.get(names[0]), str) and _PLAIN(item[names[0]]):
        return f'k:{{"{names[0]}":"{item[names[0]]}"}}'
    keys = {}
    for key in names:
        if key in item:
            keys[key] = item[key]
            continue
        value = _key_default(items_node(node), key)
        if value is not None:
            keys[key] = value
    if not keys:
        told = " ".join(f'"{key}"' for key in names)
        raise FieldsError(f"associative list with keys has an element that omits all key fields [{told}] "
                          "(and doesn't have default values for any key fields)")
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _key_default(item: Node, key: str) -> Any:
    """What a key that is not given is: its default, or its zero where Go writes that (OpenAPI v3 calls it the default)."""
    described = item.fields.get(key)
    if described is None:
        return None
    if described.default is not None:
        return described.default
    if key in _KEY_DEFAULTS:
        return _KEY_DEFAULTS[key]
    row = table.json_names(item.definition).get(key) if table.knows(item.definition) else None
    is_zero_written = row is not None and row.omit == table.KEPT and row.mode == table.VALUE
    return {"string": "", "integer": 0, "boolean": False}.get(described.type) if is_zero_written else None
