"""What upstream says of a value that does not go into its Go type, where no JSON is decoded: strategic patches and apply
go from maps to structs.

In: a Node and a JSON value that schema.check refused. Out: the text of the first misfit.
Called by: apiserver's patch and apply verbs. Source: apimachinery's runtime.DefaultUnstructuredConverter.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.schema import decode, go_names
from kubewheel.api.schema.node import Node

_GO = {"string": "string", "boolean": "bool", "number": "float64"}


def misfit(node: Node, value: Any, *, otherwise: str) -> str:
    """`otherwise`: what the schema check said; it knows of quantities, times and other types with rules of their own."""
    found = _misfit(node, value)
    if found:
        return found
    return f"error decoding from json: {otherwise}" if otherwise.startswith("illegal base64") else otherwise


def _misfit(node: Node, value: Any, named: str = "") -> str:
    """`named`: what Go calls the type, where the node does not tell it."""
    if value is None:
        return ""
    kind = _kind(value)
    if node.type == "object":
        if kind != "map":
            return f"cannot restore struct from: {kind}"
        return _first((node.fields[name], member, go_names.field_type(node.definition, name))
                      for name, member in value.items() if name in node.fields)
    if node.type == "map":
        if kind != "map":
            return f"cannot restore map from {kind}"
        return _first((node.values, member, named.partition("]")[2]) for member in value.values())
    if node.type == "list":
        if kind != "slice":
            return f"cannot restore slice from {kind}"
        return _first((node.items, item, named.removeprefix("[]") if named[:2] == "[]" else "") for item in value)
    if node.type == "bytes":
        return "" if kind == "string" else f"cannot restore slice from {kind}"
    if node.type in _SELF_DECODING:
        return _of_unmarshaller(node, value)
    wanted = node.format or "int64" if node.type == "integer" else named or _GO.get(node.type, "")
    is_number = node.type in ("integer", "number")
    if not wanted or kind == wanted or kind == "string" == node.type:
        return ""
    if kind in ("int64", "float64") and is_number:
        return f"cannot convert {kind} to {wanted}" if kind == "float64" and node.type == "integer" else ""
    if (kind, node.type) == ("int64", "string"):
        return f"cannot convert int64 to {wanted}"
    return f"unrecognized type: {_GO.get(node.type, wanted)}"


_SELF_DECODING = ("time", "microtime", "quantity", "int-or-string")


def _of_unmarshaller(node: Node, value: Any) -> str:
    """Types with JSON of their own are handed it, and know nothing of where they are."""
    try:
        decode.check(node, value)
    except decode.DecodeError as e:
        return str(e)
    return ""


def _first(pairs: Any) -> str:
    return next((text for node, value, named in pairs if node is not None and (text := _misfit(node, value, named))), "")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {dict: "map", list: "slice", str: "string", int: "int64"}.get(type(value), "float64")
