"""Structural pruning: what a CRD's schema does not name goes.

In: a structural Node (node.raw is set) and a private JSON dict. Out: `unknown field "spec.x"` texts; the dict pruned.
Values and nulls are not judged here: that is structural validation (apiextensions/values.py).
Called by: decode.check for custom resources.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.schema import compile, decode
from kubewheel.api.schema.node import Node

_TYPE_META = ("apiVersion", "kind")


def prune(node: Node, obj: Any) -> list[str]:
    unknown: list[str] = []
    _resource(node, obj, "", unknown)
    return unknown


def value(node: Node, obj: Any) -> list[str]:
    """Of a value below the root."""
    unknown: list[str] = []
    _value(node, obj, "", unknown)
    return unknown


def _resource(node: Node, obj: Any, path: str, unknown: list[str]) -> None:
    """A whole object: apiVersion, kind and metadata belong to it whatever the schema says."""
    if not isinstance(obj, dict):
        return
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        at = f"{path}.metadata" if path else "metadata"
        meta_node = compile.definition(compile.META + "ObjectMeta")
        for text in decode.check(meta_node, metadata):
            field = text.removeprefix('unknown field "')
            unknown.append(f'unknown field "{at}.{field}')
    _object(node, obj, path, unknown, keep=(*_TYPE_META, "metadata"))


def _object(node: Node, obj: dict[str, Any], path: str, unknown: list[str], *, keep: tuple[str, ...] = ()) -> None:
    fields = node.fields
    for key in list(obj):
        if key in keep:
            continue
        here = f"{path}.{key}" if path else key
        field = fields.get(key)
        if field is not None:
            _value(field, obj[key], here, unknown)
        elif node.values is not None:
            _value(node.values, obj[key], here, unknown)
        elif not node.preserve_unknown:
            unknown.append(f'unknown field "{here}"')
            del obj[key]


def _value(node: Node, value: Any, path: str, unknown: list[str]) -> None:
    if isinstance(value, dict):
        if node.embedded:
            _resource(node, value, path, unknown)
        elif node.type in ("object", "map"):
            _object(node, value, path, unknown)
        elif not node.preserve_unknown and node.type == "any" and not node.embedded:
            _object(node, value, path, unknown)
    elif isinstance(value, list) and node.items is not None:
        for i, item in enumerate(value):
            _value(node.items, item, f"{path}[{i}]", unknown)
