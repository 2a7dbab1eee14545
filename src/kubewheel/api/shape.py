"""Fields that Go prints though they are empty: structs, and slices without `omitempty`.

In: private objects. Out: the same, filled in place. Called by: the resource files' defaults.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object


def struct(obj: Object, *path: str) -> Object:
    """The object at a path, made where it is absent."""
    for step in path:
        if obj.get(step) is None:
            obj[step] = {}
        obj = obj[step]
    return obj


def nullable(obj: Object, *fields: str) -> None:
    """Lists that are `null` when nothing is in them. (Stored as protobuf, upstream cannot tell [] from null.)"""
    for field in fields:
        if not obj.get(field):
            obj[field] = None


def condition_types(obj: Object) -> list[FieldError]:
    """status.conditions of the flow control kinds: each type named, and once."""
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate((obj.get("status") or {}).get("conditions") or ()):
        path, kind = f"status.conditions[{i}].type", condition.get("type") or ""
        if kind in seen:
            out.append(errors.field_duplicate(path, kind))
        seen.add(kind)
        if not kind:
            out.append(errors.field_required(path))
    return out
