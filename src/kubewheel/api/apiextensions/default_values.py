"""The defaults of a CRD's schema: known fields only, right metadata, valid.

In: an openAPIV3Schema and where it stands. Out: FieldErrors. Called by: schemas.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.apiextensions import embedded, evaluation, nodes, rules, values
from kubewheel.api.errors import FieldError
from kubewheel.api.schema import decode, prune

Schema = dict[str, Any]


def check(schema: Schema, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    _level({**schema, "x-kubernetes-embedded-resource": True}, path, out, _Inside())
    return out


@dataclass(frozen=True, slots=True)
class _Inside:
    """Where a schema stands in the object around it: of metadata's parts the whole object is looked at."""

    root: Schema | None = None  # set within metadata, apiVersion and kind
    steps: tuple[str | int, ...] = ()

    def around(self, default: Any) -> Any:
        for step in reversed(self.steps):
            default = [default] if isinstance(step, int) else {step: default}
        return {"apiVersion": "validation/v1", "kind": "Validation", **default}


def _level(schema: Schema, path: str, out: list[FieldError], inside: _Inside) -> None:
    """Below additionalProperties nothing is looked at."""
    is_whole = bool(schema.get("x-kubernetes-embedded-resource"))
    if is_whole:
        inside = _Inside()
    if schema.get("default") is not None:
        out += _one(schema, f"{path}.default", inside, is_whole=is_whole)
    if isinstance(schema.get("items"), dict):
        below = replace(inside, steps=(*inside.steps, 0)) if inside.root is not None else inside
        _level(schema["items"], f"{path}.items", out, below)
    for name, prop in (schema.get("properties") or {}).items():
        below = inside
        if inside.root is not None:
            below = replace(inside, steps=(*inside.steps, name))
        elif is_whole and name in ("apiVersion", "kind", "metadata"):
            below = _Inside(schema, (name,))
        _level(prop, f"{path}.properties[{name}]", out, below)


def _one(schema: Schema, path: str, inside: _Inside, *, is_whole: bool) -> list[FieldError]:
    default, node = schema["default"], nodes.build(schema)
    out: list[FieldError] = []
    if inside.root is not None:
        whole = inside.around(codec.copy(default))
        if why := _misfit(inside.root, whole) or _told(embedded.whole(whole, "")):
            return [errors.field_invalid(path, default, f"must result in valid metadata: {why}")]
    else:
        if prune.value(node, codec.copy(default)):
            out = [errors.field_invalid(path, default, "must not have unknown fields")]
        if why := _misfit(schema, codec.copy(default), path):
            where, _, body = why.partition(": ")
            return [*out, FieldError("FieldValueInvalid", where, body)]
        if found := embedded.check(schema, default):
            return out + [_below(e, path) for e in found]
    if found := values.findings(nodes.build(_untyped(schema)), default):
        return out + [FieldError(e.type, path if e.field == "<nil>" else f"{path}.{e.field}", e.body) for e in found]
    tree = rules.tree(schema, root=is_whole)
    return out + [_below(e, path) for e in evaluation.findings(tree, default)] if tree is not None else out


def _untyped(schema: Any) -> Any:
    """Upstream holds defaults against a schema whose "integer or string" takes anything."""
    if isinstance(schema, dict):
        return {k: _untyped(v) for k, v in schema.items() if k != "x-kubernetes-int-or-string"}
    return schema


def _misfit(schema: Schema, value: Any, path: str = "") -> str:
    """Why embedded metadata is none."""
    try:
        prune.coerce(nodes.build(schema), value, path)
    except decode.DecodeError as e:
        return str(e)
    return ""


def _told(found: list[FieldError]) -> str:
    texts = [f"{e.field}: {e.body}" for e in found]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def _below(error: FieldError, path: str) -> FieldError:
    if error.field in ("", "<nil>"):
        return FieldError(error.type, path, error.body)
    dot = "" if error.field.startswith("[") else "."
    return FieldError(error.type, f"{path}{dot}{error.field}", error.body)
