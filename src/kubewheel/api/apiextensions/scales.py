"""What a custom resource's scale subresource reads has to be a scale.

In: the paths of a CRD's scale and an object. Out: FieldErrors with upstream's words. Called by: extension/crd/resource.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.apiextensions import numbers
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, ScalePaths

_INT32 = 2**31 - 1
_GO_TYPES = {str: "string", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}


def check(paths: ScalePaths | None, obj: Object, *, spec: bool = True) -> list[FieldError]:
    """`spec` False: of a status only."""
    if paths is None:
        return []
    out = _replicas(obj, paths.spec_replicas) if spec else []
    out += _replicas(obj, paths.status_replicas)
    if paths.selector:
        value, why = _nested(obj, paths.selector, "string")
        if why:
            out.append(errors.field_invalid("." + ".".join(paths.selector), "", why))
    return out


def _replicas(obj: Object, path: tuple[str, ...]) -> list[FieldError]:
    where, (value, why) = "." + ".".join(path), _nested(obj, path, "int64")
    if why:
        return [errors.field_invalid(where, 0, why)]
    if value is not None and value < 0:
        return [errors.field_invalid(where, value, "should be a non-negative integer")]
    if value is not None and value > _INT32:
        return [errors.field_invalid(where, value, f"should be less than or equal to {_INT32}")]
    return []


def _nested(obj: Any, path: tuple[str, ...], wanted: str) -> tuple[Any, str]:
    """(what is there or None, why it is not what is wanted)"""
    for i, name in enumerate(path):
        if obj is None:
            return None, ""
        if not isinstance(obj, dict):
            return None, _accessor(path[:i + 1], obj, "map[string]interface{}")
        if name not in obj:
            return None, ""
        obj = obj[name]
    if _go_type(obj) != wanted:
        return None, _accessor(path, obj, wanted)
    return obj, ""


def _accessor(path: tuple[str, ...], value: Any, wanted: str) -> str:
    return f".{'.'.join(path)} accessor error: {go_text(value)} is of the type {_go_type(value)}, expected {wanted}"


def _go_type(value: Any) -> str:
    if value is None:
        return "<nil>"
    return _GO_TYPES.get(type(value)) or numbers.kind_of(value)[1]


def go_text(value: Any) -> str:
    """%v"""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return numbers.go_text(value)
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{go_text(value[k])}' for k in sorted(value))}]"
    return str(value)
