"""Is a CRD's schema structural? The rules of apiextensions/v1, as field errors.

In: an openAPIV3Schema dict. Out: FieldErrors. Called by: schemas.py.
Source of the rule: "Specifying a structural schema" in the CustomResourceDefinition documentation (KEP-1111).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.apiextensions import expressions
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_UNTYPED = {"root": "must not be empty at the root", "item": "must not be empty for specified array items",
            "field": "must not be empty for specified object fields"}
# What may not stand inside allOf, anyOf, oneOf and not, and the words for it.
_INSIDE_FORBIDDEN = {
    "type": "empty", "default": "undefined", "title": "empty", "description": "empty", "nullable": "false",
    "x-kubernetes-preserve-unknown-fields": "false", "x-kubernetes-embedded-resource": "false",
    "x-kubernetes-int-or-string": "false", "x-kubernetes-list-type": "undefined", "x-kubernetes-list-map-keys": "empty",
    "x-kubernetes-map-type": "undefined", "x-kubernetes-validations": "empty"}
_NO_PART = {"id": "id", "$schema": "schema", "$ref": "$ref", "patternProperties": "patternProperties",
            "dependencies": "dependencies", "additionalItems": "additionalItems", "definitions": "definitions"}


def obstacle(schema: Schema) -> str:
    """Why a schema can't even be read as a structural one; empty where it can."""
    for name, shown in _NO_PART.items():
        if name in schema and (schema[name] or name == "additionalItems"):
            return f"OpenAPIV3Schema '{shown}' is not supported"
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    items, inner = schema.get("items"), list((schema.get("properties") or {}).values())
    if isinstance(items, list):
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    inner += [s for s in (items, schema.get("additionalProperties"), schema.get("not")) if isinstance(s, dict)]
    for junctor in _JUNCTORS:
        inner += schema.get(junctor) or ()
    return next(filter(None, map(obstacle, inner)), "")


def check(schema: Schema, path: str) -> list[FieldError]:
    """Only what the whole schema's own junctors name must be specified outside of them; those further down are not asked."""
    out = _level(schema, path, "root") + _named(schema, schema, path, path)
    return sorted(out, key=lambda e: f"{e.field}: {e.body}")


def _level(schema: Schema, path: str, level: str) -> list[FieldError]:
    type_ = schema.get("type") or ""
    out = _type(schema, path, level, type_) + _extensions(schema, path) + _embedded(schema, path, level)
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if type_ == "array" and items is None:
        out.append(errors.field_required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        out += _level(items, f"{path}.items", "item")
    for name, prop in (schema.get("properties") or {}).items():
        out += _level(prop, f"{path}.properties[{name}]", "field")
    if extra is not None:
        if level == "root":
            out.append(errors.field_forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(extra, dict):
            out += _level(extra, f"{path}.additionalProperties", "field")
    first = (schema.get("allOf") or [{}])[0]
    return out + _value_rules(schema, path, skip_any=schema.get("anyOf") == INT_OR_STRING,
                              skip_first=first.get("anyOf") == INT_OR_STRING)


def _type(schema: Schema, path: str, level: str, type_: str) -> list[FieldError]:
    out = []
    where = f"{path}.type"
    if schema.get("x-kubernetes-embedded-resource") and type_ != "object":
        words = "must be object if x-kubernetes-embedded-resource is true"
        out.append(errors.field_invalid(where, type_, words) if type_ else errors.field_required(where, words))
    elif not type_ and not schema.get("x-kubernetes-int-or-string") and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.append(errors.field_required(where, _UNTYPED[level]))
    if level == "root" and type_ and type_ != "object":
        out.append(errors.field_invalid(where, type_, "must be object at the root"))
    return out


def _extensions(schema: Schema, path: str) -> list[FieldError]:
    if not schema.get("x-kubernetes-int-or-string"):
        return []
    return [errors.field_invalid(f"{path}.{field}", True, "must be false if x-kubernetes-int-or-string is true")
            for field in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource") if schema.get(field)]


# -- whole objects: the root and embedded resources ---------------------------------------------------------------
def _embedded(schema: Schema, path: str, level: str) -> list[FieldError]:
    out = []
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    properties = schema.get("properties") or {}
    if embedded and schema.get("additionalProperties") is not None:
        out.append(errors.field_forbidden(f"{path}.additionalProperties",
                                          "must not be used if x-kubernetes-embedded-resource is set"))
    if embedded and not properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out.append(errors.field_required(
            f"{path}.properties", "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields"))
    if level != "root" and not embedded:
        return out
    for name in ("kind", "apiVersion"):
        if name in properties and properties[name].get("type") != "string":
            out.append(errors.field_invalid(f"{path}.properties[{name}].type", properties[name].get("type") or "",
                                            "must be string"))
    if "metadata" in properties:
        out += _metadata(properties["metadata"], f"{path}.properties[metadata]", level)
    return out


def _metadata(schema: Schema, path: str, level: str) -> list[FieldError]:
    out = []
    if schema.get("type") != "object":
        out.append(errors.field_invalid(f"{path}.type", schema.get("type") or "", "must be object"))
    known = set(schema.get("properties") or ()) <= {"name", "generateName"}
    said = {k for k, v in schema.items() if v not in (None, False, "", 0)}
    if level == "root" and (not known or said - {"type", "properties", "default"}):
        out.append(errors.field_forbidden(path, "must not specify anything other than name and generateName, but "
                                                "metadata is implicitly specified"))
    return out


# -- inside allOf, anyOf, oneOf, not ------------------------------------------------------------------------------
def _value_rules(schema: Schema, path: str, *, skip_any: bool = False, skip_first: bool = False) -> list[FieldError]:
    """Only rules on values may stand in there, no structure of their own; but "integer or string" may be said in full:
    in an anyOf (`skip_any`), or in that of the first allOf (`skip_first`)."""
    out: list[FieldError] = []
    for junctor in _JUNCTORS:
        if junctor == "anyOf" and skip_any:
            continue
        for i, inner in enumerate(schema.get(junctor) or ()):
            out += _values_only(inner, f"{path}.{junctor}[{i}]", skip_any=junctor == "allOf" and i == 0 and skip_first)
    if isinstance(schema.get("not"), dict):
        out += _values_only(schema["not"], f"{path}.not")
    if pattern := schema.get("pattern"):
        out += expressions.check(pattern, f"{path}.pattern")
    return out


def _values_only(schema: Schema, path: str, *, skip_any: bool = False) -> list[FieldError]:
    out = _value_rules(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), dict):
        out += _values_only(schema["items"], f"{path}.items")
    for name, prop in (schema.get("properties") or {}).items():
        if name == "metadata":
            out.append(errors.field_forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
        out += _values_only(prop, f"{path}.properties[{name}]")
    if schema.get("additionalProperties") not in (None, False):
        out.append(errors.field_forbidden(f"{path}.additionalProperties", "must be undefined to be structural"))
    for field, words in _INSIDE_FORBIDDEN.items():
        if schema.get(field) or field == "default" and schema.get(field) is not None:
            out.append(errors.field_forbidden(f"{path}.{field}", f"must be {words} to be structural"))
    return out


def _named(rule: Schema, schema: Schema | None, path: str, at: str) -> list[FieldError]:
    """`rule` stands at `at`, inside a junctor of the schema at `path`."""
    out: list[FieldError] = []
    for junctor in _JUNCTORS:
        for i, inner in enumerate(rule.get(junctor) or ()):
            out += _specified(inner, schema, path, f"{at}.{junctor}[{i}]")
    if isinstance(rule.get("not"), dict):
        out += _specified(rule["not"], schema, path, f"{at}.not")
    return out


def _specified(rule: Schema, schema: Schema | None, path: str, at: str) -> list[FieldError]:
    if schema is None:
        return [errors.field_required(path, f"because it is defined in {at}")]
    out = _named(rule, schema, path, at)
    if isinstance(rule.get("items"), dict):
        items = schema.get("items")
        out += _specified(rule["items"], items if isinstance(items, dict) else None, f"{path}.items", f"{at}.items")
    for name, prop in (rule.get("properties") or {}).items():
        out += _specified(prop, (schema.get("properties") or {}).get(name), f"{path}.properties[{name}]",
                          f"{at}.properties[{name}]")
    return out
