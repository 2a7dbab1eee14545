"""What is wrong with an applied configuration, in the words of structured-merge-diff's validation.

In: a Node and an applied object. Out: the text of all findings, "" for none. Called by: apply.py, when the fast walk stumbles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubewheel.api.merge import elements, fields
from kubewheel.api.merge.fields import FieldsError
from kubewheel.api.schema.node import Node

_NUMBERS = ("integer", "number")  # date-times, quantities and int-or-string are "untyped": any scalar


def findings(node: Node, value: Any) -> str:
    found = [f"{path}: {why}" for path, why in _value(node, value, "")]
    return "\n  ".join(["errors:", *found]) if len(found) > 1 else "".join(found)


Finding = tuple[str, str]


def _value(node: Node, value: Any, path: str) -> Iterator[Finding]:
    if value is None:
        return
    if node.type in ("object", "map"):
        yield from _map(node, value, path)
    elif node.type == "list":
        yield from _list(node, value, path)
    elif isinstance(value, (dict, list)) and node.type not in ("any",):
        yield path, _expected(node, value)
    elif _is_text(node) and not isinstance(value, str):
        yield path, f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    elif node.type in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
        yield path, f"expected numeric (int or float), got {_go_type(value)}"
    elif node.type == "boolean" and not isinstance(value, bool):
        yield path, f"expected boolean, got {_shown(value)}"


def _expected(node: Node, value: Any) -> str:
    if node.type in _NUMBERS:
        return f"expected numeric (int or float), got {_go_type(value)}"
    if node.type == "boolean":
        return f"expected boolean, got {_shown(value)}"
    if _is_text(node):
        return f"expected string, got &value.valueUnstructured{{Value:{_go_syntax(value)}}}"
    return f"expected any scalar, got {_shown(value)}"


def _is_text(node: Node) -> bool:
    return node.type == "bytes" or node.type == "string" and not node.format


def _map(node: Node, value: Any, path: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        if node is not elements.DEDUCED:
            yield path, f"expected map, got {_shown(value)}"
        return
    open_ended = node.values is not None or node.preserve_unknown
    for name, member in value.items():
        below = node.fields.get(name) or node.values
        if below is not None:
            yield from _value(below, member, f"{path}.{name}")
        elif not open_ended and not (node.embedded and name in ("apiVersion", "kind", "metadata")):
            yield f"{path}.{name}", "field not declared in schema"
            return  # upstream leaves a map at the first


def _list(node: Node, value: Any, path: str) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield path, f"expected list, got {_shown(value)}"
        return
    below, name = elements.items_node(node), None
    if elements.is_keyed(node):
        name = elements.namer(node)
    seen: set[str] = set()
    for at, item in enumerate(value):
        where = f"[{at}]"
        if name is not None:
            try:
                element = name(item)
            except FieldsError as e:
                yield path, f"element {at}: {e}"
                return
            where = fields.element_text(element)
            if element in seen:
                yield path, f"duplicate entries for key {where}"
            seen.add(element)
        yield from _value(below, item, path + where)


# -- values as Go prints them -------------------------------------------------------------------------------------
def _shown(value: Any) -> str:
    """`%v` of a value: `&{text}`, `&{[a b]}`, `&{map[key:text]}`."""
    return "&{" + plain(value) + "}"


def plain(value: Any) -> str:
    """`%v` of the bare value."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(plain, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _go_syntax(value: Any) -> str:
    """`%#v`."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, dict):
        inner = ", ".join(f"{fields.json_text(key)}:{_go_syntax(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_go_syntax, value))}}}"
    return fields.json_text(value) if isinstance(value, str) else plain(value)


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {dict: "map[string]interface {}", list: "[]interface {}", str: "string", int: "int64",
            float: "float64"}[type(value)]
