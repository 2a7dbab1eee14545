"""Structural pruning: what a CRD's schema does not name goes.

In: a structural Node (node.raw is set) and a private JSON dict. Out: `unknown field "spec.x"` texts; the dict pruned, the
metadata of embedded objects as Go's type has it; DecodeError for those that are none.
Values are not judged here: that is structural validation (apiextensions/values.py); nulls are defaulting's.
Called by: decode.check for custom resources, apiextensions/default_values.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.schema import compile, decode
from kubewheel.api.schema.node import Node

META = ("apiVersion", "kind", "metadata")


def prune(node: Node, obj: Any) -> list[str]:
    """Of a whole object: apiVersion, kind and metadata belong to it whatever the schema says."""
    if not isinstance(obj, dict):
        return []
    unknown: list[str] = []
    if isinstance(obj.get("metadata"), dict):
        _meta(obj["metadata"], "metadata", unknown)
    elif obj.get("metadata") is not None:
        raise decode.DecodeError(_no_meta(obj["metadata"]))
    pruned: list[str] = []
    _object(node, obj, "", pruned, whole=True)
    coerced: list[str] = []
    _coerce(node, obj, "", coerced)
    return unknown + [f'unknown field "{path}"' for path in sorted(pruned)] + sorted(coerced)


def value(node: Node, obj: Any) -> list[str]:
    """Of a value below the root: the paths of what was pruned; metadata of embedded objects is left as it is."""
    unknown: list[str] = []
    _value(node, obj, "", unknown)
    return unknown


def coerce(node: Node, obj: Any, path: str = "") -> None:
    """Embedded objects' metadata as Go's type has it, in place. DecodeError"""
    _coerce(node, obj, path, [])


# -- pruning ------------------------------------------------------------------------------------------------------
def _object(node: Node, obj: dict[str, Any], path: str, unknown: list[str], *, whole: bool = False) -> None:
    fields = node.fields
    for key in list(obj):
        if whole and key in META:
            continue
        field = fields.get(key)
        if field is None:
            extra = (node.raw or {}).get("additionalProperties")
            if isinstance(extra, dict):
                field = node.values
            elif extra is not None:  # true or false: nothing is named below
                _value(None, obj[key], _join(path, key), unknown)
                continue
            elif node.preserve_unknown:
                continue
            else:
                unknown.append(_join(path, key))
                del obj[key]
                continue
        _value(field, obj[key], _join(path, key), unknown)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _value(node: Node | None, given: Any, path: str, unknown: list[str]) -> None:
    if isinstance(given, dict):
        if node is None:
            unknown += [_join(path, key) for key in given]
            given.clear()
        else:
            _object(node, given, path, unknown, whole=node.embedded)
    elif isinstance(given, list):
        if node is not None and node.preserve_unknown:
            _kept(node, given, path, unknown)
            return
        for i, item in enumerate(given):
            _value(None if node is None else node.items, item, f"{path}[{i}]", unknown)


def _kept(node: Node, given: list[Any], path: str, unknown: list[str]) -> None:
    """Elements of a list that preserves what it does not know do so too; what they name is pruned further down."""
    if node.items is None:
        return
    for i, item in enumerate(given):
        at = f"{path}[{i}]"
        if isinstance(item, list):
            _kept(node.items, item, at, unknown)
        elif isinstance(item, dict):
            for key in item:
                if (field := node.items.fields.get(key)) is not None and not (node.items.embedded and key in META):
                    _value(field, item[key], _join(at, key), unknown)


# -- embedded objects ---------------------------------------------------------------------------------------------
def _coerce(node: Node, given: Any, path: str, unknown: list[str]) -> None:
    if isinstance(given, list):
        if node.items is not None:
            for i, item in enumerate(given):
                if item.__class__ in (dict, list):
                    _coerce(node.items, item, f"{path}[{i}]", unknown)
    elif isinstance(given, dict):
        if node.embedded:
            _embedded(given, path, unknown)
        for key, inner in given.items():
            if inner.__class__ in (dict, list) and (field := node.fields.get(key) or node.values) is not None:
                if field.raw is not None:
                    _coerce(field, inner, _join(path, key), unknown)


def _embedded(given: dict[str, Any], path: str, unknown: list[str]) -> None:
    for key in ("apiVersion", "kind"):
        if key in given and not isinstance(given[key], str):
            raise _not_so(_join(path, key), given[key], "must be a string")
    if "metadata" not in given:
        return
    meta, at = given["metadata"], _join(path, "metadata")
    if not isinstance(meta, dict):
        if meta is not None:
            raise _not_so(at, meta, _no_meta(meta))
        return
    shown = codec.copy(meta)
    try:
        _meta(meta, at, unknown)
    except decode.DecodeError as e:
        raise _not_so(at, shown, str(e)) from e


def _no_meta(given: Any) -> str:
    kind = {str: "string", bool: "bool", list: "array"}.get(type(given), "number")
    return f"json: cannot unmarshal {kind} into Go value of type v1.ObjectMeta"


def _not_so(path: str, given: Any, why: str) -> decode.DecodeError:
    return decode.DecodeError(f"{path}: Invalid value: {errors.render_value(given)}: {why}")


def _meta(meta: dict[str, Any], path: str, unknown: list[str]) -> None:
    for text in decode.check(compile.definition(compile.META + "ObjectMeta"), meta):
        field = text.removeprefix('unknown field "')
        unknown.append(f'unknown field "{path}.{field}')
