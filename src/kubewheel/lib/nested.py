"""Dotted names to nested objects: {"a.b": 1, "a.c": 2} is {"a": {"b": 1, "c": 2}}. Pure.

Called by: /configz of the components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unflattened(values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        at = out
        for parent in parents:
            at = at.setdefault(parent, {})
        at[name] = value
    return out
