"""Objects inside of objects (x-kubernetes-embedded-resource): they name their kind and have metadata as every object has.

In: a structural schema and a value. Out: FieldErrors with upstream's words. Called by: default_values.py,
extension/crd/resource.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.apiextensions import values
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]


def check(schema: Schema, value: Any, path: str = "", *, root: bool = False) -> list[FieldError]:
    """`root`: the value is a whole object itself, whose own metadata others look at."""
    out: list[FieldError] = []
    if isinstance(value, list):
        if isinstance(schema.get("items"), dict):
            for i, item in enumerate(value):
                out += check(schema["items"], item, f"{path}[{i}]")
    elif isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource") and not root:
            out += whole(value, path)
        for name, at, inner in values.parts(schema, value, path):
            out += check(inner, value[name], at)
    return out


def whole(value: dict[str, Any], path: str) -> list[FieldError]:
    out = [errors.field_required(values.joined(path, name)) for name in ("apiVersion", "kind") if name not in value]
    for name in ("apiVersion", "kind"):
        if name in value:
            out += _type(name, value[name], values.joined(path, name))
    meta = value.get("metadata")
    if isinstance(meta, dict):
        meta = {"name": "fakename"} | {k: v for k, v in meta.items() if v}
        out += validation.validate_meta(meta, namespaced=bool(meta.get("namespace")), name_rule="path-segment",
                                        path=values.joined(path, "metadata"))
    return out


def _type(name: str, given: Any, where: str) -> list[FieldError]:
    if not isinstance(given, str):
        return [errors.field_invalid(where, given, "must be a string")]
    if not given:
        return [errors.field_invalid(where, given, "must not be empty")]
    if name == "kind" and (found := names.label_1035(given.lower())):
        words = "may have mixed case, but should otherwise match: " + ",".join(found)
        return [errors.field_invalid(where, given, words)]
    if name == "apiVersion" and given.count("/") > 1:
        return [errors.field_invalid(where, given, f"unexpected GroupVersion string: {given}")]
    return []
