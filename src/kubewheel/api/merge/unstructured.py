"""What upstream says of a value that does not go into its Go type, where no JSON is decoded: strategic patches and apply
go from maps to structs.

In: a Node and a JSON value that schema.check refused. Out: the text of the first misfit.
Called by: apiserver's patch and apply verbs. Source: apimachinery's runtime.DefaultUnstructuredConverter.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.schema.node import Node

_GO = {"string": "string", "boolean": "bool", "number": "float64"}


def misfit(node: Node, value: Any, *, otherwise: str) -> str:
    """`otherwise`: what the schema check said; it knows of quantities, times and other types with rules of their own."""
    found = _misfit(node, value)
    if found:
        return found
    return f"error decoding from json: {otherwise}" if otherwise.startswith("illegal base64") else otherwise


def _misfit(node: Node, value: Any) -> str:
    if value is None:
        return ""
    kind = _kind(value)
    if node.type == "object":
        if kind != "map":
            return f"cannot restore struct from: {kind}"
        return _first((node.fields[name], member) for name, member in value.items() if name in node.fields)
    if node.type == "map":
        if kind != "map":
            return f"cannot restore map from {kind}"
        return _first((node.values, member) for member in value.values())
    if node.type == "list":
        if kind != "slice":
            return f"cannot restore slice from {kind}"
        return _first((node.items, item) for item in value)
    if node.type == "bytes":
        return "" if kind == "string" else f"cannot restore slice from {kind}"
    wanted = node.format or "int64" if node.type == "integer" else _GO.get(node.type, "")
    if not wanted or kind == wanted or kind in ("int64", "float64") and wanted.startswith(("int", "float")):
        return ""
    return "cannot convert int64 to string" if (kind, wanted) == ("int64", "string") else f"unrecognized type: {wanted}"


def _first(pairs: Any) -> str:
    return next((text for node, value in pairs if node is not None and (text := _misfit(node, value))), "")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {dict: "map", list: "slice", str: "string", int: "int64"}.get(type(value), "float64")
