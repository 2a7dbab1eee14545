"""Filling in what an object leaves out.

In: private dicts. Out: the same, changed in place. Called by: the resource files' defaults.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.resource import Object


def spec_of(obj: Object) -> Object:
    """The spec; an empty one is put where there is none."""
    spec = obj.get("spec")
    if spec is None:
        spec = obj["spec"] = {}
    return spec


def absent(target: Object, **values: Any) -> None:
    """Sets what is absent or null."""
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value
