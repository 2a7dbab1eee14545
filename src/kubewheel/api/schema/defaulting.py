"""Schema defaults (`default:` of structural schemas and OpenAPI) put into an object, in place.

In: a Node and a private JSON dict. Out: the dict, filled. Called by: apiserver verbs for custom resources.
The rules are structural defaulting's: an absent field with a default gets it; null in a field that is not nullable
counts as absent, and goes where there is no default; defaults reach into what they themselves put there.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec
from kubewheel.api.schema.node import Node


def apply_defaults(node: Node, obj: Any, *, keeps_nulls: bool = False) -> None:
    """`keeps_nulls`: null stays where there is no default, for validation to refuse (as in what an apply made)."""
    if isinstance(obj, dict):
        for name, field in node.fields.items():
            if field.has_default and (name not in obj or obj[name] is None and not field.nullable):
                obj[name] = codec.copy(field.default)
        gone = []
        for name, value in obj.items():
            inner = node.fields.get(name) or node.values
            if isinstance(value, (dict, list)):
                if inner is not None and inner.raw is not None:
                    apply_defaults(inner, value, keeps_nulls=keeps_nulls)
            elif value is None and not keeps_nulls and inner is not None and not inner.nullable and not inner.has_default and (
                    name in node.fields or isinstance((node.raw or {}).get("additionalProperties"), dict)):
                gone.append(name)
        for name in gone:
            del obj[name]
        values = node.values
        if values is not None and values.has_default and not values.nullable:
            for name, value in obj.items():
                if value is None and name not in node.fields:
                    obj[name] = codec.copy(values.default)
    elif isinstance(obj, list) and node.items is not None:
        for i, item in enumerate(obj):
            if item is None and node.items.has_default and not node.items.nullable:
                obj[i] = item = codec.copy(node.items.default)
            apply_defaults(node.items, item, keeps_nulls=keeps_nulls)
