"""Values against a structural schema, with upstream's (go-openapi's) words.

In: the root Node (its `raw` is the schema) and an object; on updates the old one: what did not change is not judged
again (ratcheting). Out: FieldErrors. Called by: default_values.py, extension/crd/resource.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.apiextensions import formats
from kubewheel.api.cel.functions import regex
from kubewheel.api.errors import FieldError
from kubewheel.api.schema.node import Node

Schema = dict[str, Any]
_ABSENT = object()


def findings(node: Node, obj: Any, *, old: Any = _ABSENT) -> list[FieldError]:
    out: list[FieldError] = []
    _check(node.raw or {}, obj, "", old, out)
    return out


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    return {"float": "number", "str": "string", "list": "array", "dict": "object"}[type(value).__name__]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(value: Any) -> str:
    return value if isinstance(value, str) else errors.render_value(value)


def _wrong_type(path: str, wanted: str, shown: str) -> FieldError:
    return errors.field_type_invalid(path, shown, f'{path} in body must be of type {wanted}: "{shown}"')


def _check(schema: Schema, value: Any, path: str, old: Any, out: list[FieldError]) -> None:
    if old is not _ABSENT and type(old) is type(value) and old == value:
        return
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value, path, out):
        return
    if "enum" in schema and value not in schema["enum"]:
        out.append(_not_supported(path, value, schema["enum"]))
    if isinstance(value, str):
        _string(schema, value, path, out)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        out += number(schema, value, path)
    elif isinstance(value, list):
        _array(schema, value, path, old, out)
    elif isinstance(value, dict):
        _object(schema, value, path, old, out)
    _junctors(schema, value, path, out)


def _has_type(schema: Schema, value: Any, path: str, out: list[FieldError]) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        if kind_of(value) not in ("integer", "string"):
            out.append(_wrong_type(path, "integer,string", kind_of(value)))
            return False
        return True
    wanted, got = schema.get("type"), kind_of(value)
    if not wanted or wanted == got or (wanted == "number" and got == "integer"):
        return True
    out.append(_wrong_type(path, wanted, got))
    return False


def _not_supported(path: str, value: Any, allowed: Iterable[Any]) -> FieldError:
    names = ", ".join(f'"{_text(a)}"' for a in allowed)  # upstream keeps the schema's order here
    return FieldError("FieldValueNotSupported", path,
                      f"Unsupported value: {errors.render_value(value)}: supported values: {names}")


# -- scalars ------------------------------------------------------------------------------------------------------
def _string(schema: Schema, value: str, path: str, out: list[FieldError]) -> None:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        out.append(errors.field_too_long(path, schema["maxLength"]))
    if "minLength" in schema and len(value) < schema["minLength"]:
        out.append(errors.field_invalid(
            path, value, f"{path} in body should be at least {schema['minLength']} chars long"))
    if (pattern := schema.get("pattern")) and regex(pattern).search(value) is None:
        out.append(errors.field_invalid(path, value, f"{path} in body should match '{pattern}'"))
    if (form := schema.get("format")) and not formats.fits(form, value):
        out.append(errors.field_type_invalid(path, value, f'{path} in body must be of type {form}: "{value}"'))


def number(schema: Schema, value: int | float, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for field, exclusive, word in (("minimum", "exclusiveMinimum", "greater"), ("maximum", "exclusiveMaximum", "less")):
        if field not in schema:
            continue
        limit, strict = schema[field], bool(schema.get(exclusive))
        distance = value - limit if field == "minimum" else limit - value
        if distance < 0 or (strict and distance == 0):
            rule = f"{word} than {limit:g}" if strict else f"{word} than or equal to {limit:g}"
            out.append(errors.field_invalid(path, value, f"{path} in body should be {_go_number(rule, limit)}"))
    if step := schema.get("multipleOf"):
        ratio = value / step
        if not math.isclose(ratio, round(ratio), rel_tol=1e-12, abs_tol=1e-12):
            out.append(errors.field_invalid(path, value, f"{path} in body should be a multiple of {step:g}"))
    return out


def _go_number(rule: str, limit: int | float) -> str:
    """%v of a float64: up to 21 digits plain, where Python's :g turns to exponents after six."""
    if float(limit).is_integer() and abs(limit) < 1e21:
        return rule.rpartition(" ")[0] + f" {int(limit)}"
    return rule


# -- arrays -------------------------------------------------------------------------------------------------------
def _array(schema: Schema, value: list[Any], path: str, old: Any, out: list[FieldError]) -> None:
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        out.append(errors.field_too_many(path, len(value), schema["maxItems"]))
    if "minItems" in schema and len(value) < schema["minItems"]:
        out.append(errors.field_invalid(path, len(value), f"{path} in body should have at least "
                                        f"{schema['minItems']} items"))
    if schema.get("uniqueItems") and repeated(value, None):
        out.append(errors.field_invalid(path, value, f"{path} in body shouldn't contain duplicates"))
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    items = schema.get("items")
    if isinstance(items, dict):
        before = {_key(o, keys): o for o in old} if keys and isinstance(old, list) else {}
        for i, item in enumerate(value):
            _check(items, item, f"{path}[{i}]", before.get(_key(item, keys), _ABSENT) if before else _ABSENT, out)


def _key(item: Any, keys: list[str] | None) -> str:
    if keys and isinstance(item, dict):
        item = [item.get(k) for k in keys]
    return errors.render_value(item)


def repeated(value: list[Any], keys: list[str] | None) -> list[tuple[int, Any]]:
    seen, out = set(), []
    for i, item in enumerate(value):
        if keys and not isinstance(item, dict):
            continue
        key = _key(item, keys)
        if key in seen:
            out.append((i, item))
        seen.add(key)
    return out


# -- objects ------------------------------------------------------------------------------------------------------
def _object(schema: Schema, value: dict[str, Any], path: str, old: Any, out: list[FieldError]) -> None:
    for name in schema.get("required") or ():
        if name not in value:
            out.append(errors.field_required(_join(path, name)))
    if "maxProperties" in schema and len(value) > schema["maxProperties"]:
        out.append(errors.field_too_many(path, len(value), schema["maxProperties"]))
    if "minProperties" in schema and len(value) < schema["minProperties"]:
        out.append(errors.field_invalid(path, value, f"{path} in body should have at least "
                                        f"{schema['minProperties']} properties"))
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    before = old if isinstance(old, dict) and not atomic else {}
    for name, item in value.items():
        inner = properties.get(name, extra)
        if isinstance(inner, dict):
            _check(inner, item, _join(path, name), before.get(name, _ABSENT), out)


# -- what holds across a list, and for objects inside of objects ---------------------------------------------------
def lists(schema: Schema, value: Any, path: str = "") -> list[FieldError]:
    """Elements of sets, and keys of lists of type map, stand there once."""
    out: list[FieldError] = []
    if isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
        if keys or schema.get("x-kubernetes-list-type") == "set":
            for i, item in repeated(value, keys):
                shown = {k: item.get(k) for k in keys if k in item} if keys else item
                out.append(errors.field_duplicate(f"{path}[{i}]", shown))
        if isinstance(schema.get("items"), dict):
            for i, item in enumerate(value):
                if isinstance(item, (list, dict)):
                    out += lists(schema["items"], item, f"{path}[{i}]")
    elif isinstance(value, dict):
        for name, at, inner in _inner(schema, value, path):
            out += lists(inner, value[name], at)
    return out


def embedded(schema: Schema, value: Any, path: str = "", *, root: bool = False) -> list[FieldError]:
    """Embedded resources name their kind and have metadata as every object has."""
    out: list[FieldError] = []
    if isinstance(value, list):
        if isinstance(schema.get("items"), dict):
            for i, item in enumerate(value):
                out += embedded(schema["items"], item, f"{path}[{i}]")
    elif isinstance(value, dict):
        if schema.get("x-kubernetes-embedded-resource") and not root:
            out += _whole(value, path)
        for name, at, inner in _inner(schema, value, path):
            out += embedded(inner, value[name], at)
    return out


def _inner(schema: Schema, value: dict[str, Any], path: str) -> Iterable[tuple[str, str, Schema]]:
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in value:
        if isinstance(properties.get(name), dict):
            yield name, _join(path, name), properties[name]
        elif isinstance(extra, dict):
            yield name, f"{path}[{name}]", extra


def _whole(value: dict[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    for name in ("apiVersion", "kind"):
        given, where = value.get(name), _join(path, name)
        if name not in value:
            out.append(errors.field_required(where, "must not be empty"))
        elif not isinstance(given, str):
            out.append(errors.field_invalid(where, given, "must be a string"))
        elif not given:
            out.append(errors.field_invalid(where, given, "must not be empty"))
        elif name == "kind" and (found := names.label_1035(given.lower())):
            words = "may have mixed case, but should otherwise match: " + ",".join(found)
            out.append(errors.field_invalid(where, given, words))
        elif name == "apiVersion" and given.count("/") > 1:
            out.append(errors.field_invalid(where, given, f"unexpected GroupVersion string: {given}"))
    meta = value.get("metadata")
    if isinstance(meta, dict):
        meta = {"name": "fakename"} | {k: v for k, v in meta.items() if v}
        out += validation.validate_meta(meta, namespaced=bool(meta.get("namespace")), name_rule="path-segment",
                                        path=_join(path, "metadata"))
    return out


# -- allOf, anyOf, oneOf, not -------------------------------------------------------------------------------------
def _errors_of(schema: Schema, value: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    _check(schema, value, path, _ABSENT, out)
    return out


def _composite(text: str) -> FieldError:
    """These have no path of their own upstream."""
    return errors.field_invalid("<nil>", "", text)


def _junctors(schema: Schema, value: Any, path: str, out: list[FieldError]) -> None:
    if options := schema.get("anyOf"):
        results = [_errors_of(s, value, path) for s in options]
        if all(results):
            out += [_composite(f'"{path}" must validate at least one schema (anyOf)'), *min(results, key=len)]
    if options := schema.get("oneOf"):
        results = [_errors_of(s, value, path) for s in options]
        valid = sum(1 for r in results if not r)
        if not valid:
            out += [_composite(f'"{path}" must validate one and only one schema (oneOf). Found none valid'),
                    *min(results, key=len)]
        elif valid > 1:
            out.append(_composite(f'"{path}" must validate one and only one schema (oneOf). '
                                  f"Found {valid} valid alternatives"))
    if options := schema.get("allOf"):
        results = [_errors_of(s, value, path) for s in options]
        if any(results):
            out += [e for r in results for e in r]
            out.append(_composite(f'"{path}" must validate all the schemas (allOf)'
                                  + (". None validated" if all(results) else "")))
    if isinstance(schema.get("not"), dict) and not _errors_of(schema["not"], value, path):
        out.append(_composite(f'"{path}" must not validate the schema (not)'))
