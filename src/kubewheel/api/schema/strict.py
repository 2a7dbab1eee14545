"""Duplicate keys of a JSON text, which the fast parser cannot see.

In: the body's bytes and the node it is decoded into. Out: `duplicate field "spec.x"` texts, in document order.
Called by: apiserver verbs with fieldValidation Warn or Strict.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from kubewheel.api.schema.node import Node


class _Pairs(list):
    """A JSON object as its members came."""


def duplicates(raw: bytes, node: Node | None = None, *, parsed: Any = None) -> list[str]:
    """With a node, what Go does not decode (unknown fields, raw values) is not looked into. b"" and YAML: none.
    `parsed`: what the text holds, where the caller has decoded it already."""
    try:
        # Compact JSON that keeps its length when written again holds nothing twice.
        if len(orjson.dumps(orjson.loads(raw) if parsed is None else parsed)) == len(raw.strip()):
            return []
        tree = json.loads(raw, object_pairs_hook=_Pairs)
    except ValueError:
        return []
    out: list[str] = []
    _walk(tree, node if node is not None and node.raw is None else None, "", out, node is None or node.raw is not None)
    return list(dict.fromkeys(out))


def _walk(value: Any, node: Node | None, path: str, out: list[str], untyped: bool) -> None:
    if isinstance(value, _Pairs):
        if node is not None and node.type not in ("object", "map"):
            return
        seen = set()
        for key, item in value:
            inner = None
            if node is not None:
                inner = node.fields.get(key) if node.type == "object" else node.values
                if inner is None:
                    continue
            here = f"{path}.{key}" if path else key
            if key in seen:
                out.append(f'duplicate field "{here}"')
            seen.add(key)
            if untyped or inner is not None:
                _walk(item, inner, here, out, untyped)
    elif isinstance(value, list):
        inner = node.items if node is not None else None
        if untyped or inner is not None:
            for i, item in enumerate(value):
                _walk(item, inner, f"{path}[{i}]", out, untyped)
