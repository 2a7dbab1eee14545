"""The defaults of a CRD's schema: known fields only, right metadata, valid.

In: an openAPIV3Schema and where it stands. Out: FieldErrors. Called by: schemas.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.apiextensions import evaluation, nodes, rules, values
from kubewheel.api.errors import FieldError
from kubewheel.api.schema import prune

Schema = dict[str, Any]


def check(schema: Schema, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    _level(schema, path, out, root=True, in_meta=False)
    return out


def _level(schema: Schema, path: str, out: list[FieldError], *, root: bool, in_meta: bool) -> None:
    if "default" in schema:
        out += _one(schema, f"{path}.default", in_meta=in_meta)
    whole = root or bool(schema.get("x-kubernetes-embedded-resource"))
    for name, prop in (schema.get("properties") or {}).items():
        meta = in_meta or whole and name in ("apiVersion", "kind", "metadata")
        _level(prop, f"{path}.properties[{name}]", out, root=False, in_meta=meta)
    for field in ("items", "additionalProperties"):
        if isinstance(schema.get(field), dict):
            _level(schema[field], f"{path}.{field}", out, root=False, in_meta=in_meta)


def _one(schema: Schema, path: str, *, in_meta: bool) -> list[FieldError]:
    default, node = schema["default"], nodes.build(schema)
    if not in_meta:
        if prune.value(node, codec.copy(default)):
            return [errors.field_invalid(path, default, "must not have unknown fields")]
        if found := values.embedded(schema, default):
            return [_below(e, path) for e in found]
    if found := values.findings(node, default):
        return [_below(e, path) for e in found]
    tree = rules.tree(schema)
    return [_below(e, path) for e in evaluation.findings(tree, default)] if tree is not None else []


def _below(error: FieldError, path: str) -> FieldError:
    if error.field in ("", "<nil>"):
        return FieldError(error.type, path, error.body)
    dot = "" if error.field.startswith("[") else "."
    return FieldError(error.type, f"{path}{dot}{error.field}", error.body)
