"""Fields that Go prints though they are empty: structs, and slices without `omitempty`.

In: private objects. Out: the same, filled in place. Called by: the resource files' defaults.
"""

from __future__ import annotations

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
