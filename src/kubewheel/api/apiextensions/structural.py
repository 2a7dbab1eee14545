"""Is a CRD's schema structural? The rules of apiextensions/v1, as field errors.

In: openAPIV3Schema dicts. Out: FieldErrors. Called by: customresourcedefinition.py.
"""

from __future__ import annotations

import re
from typing import Any

from kubewheel.api import errors
from kubewheel.api.apiextensions import rules
from kubewheel.api.errors import FieldError

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_INSIDE_FORBIDDEN = ("type", "default", "nullable", "additionalProperties", "description", "title",
                     "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
                     "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
                     "x-kubernetes-map-type")


def check(schema: dict[str, Any], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if schema.get("type") != "object":
        if not schema.get("type"):
            out.append(errors.field_required(f"{path}.type", "must not be empty at the root"))
        else:
            out.append(errors.field_invalid(f"{path}.type", schema["type"], "must be object at the root"))
    if schema.get("nullable"):
        out.append(errors.field_forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    _level(schema, path, out, root=True)
    return out


def _level(schema: dict[str, Any], path: str, out: list[FieldError], *, root: bool = False, kind: str = "",
           blocked: str = "") -> None:
    """`blocked`: the list above whose elements are not found again in an old value, so that rules know no oldSelf."""
    type_ = schema.get("type", "")
    loose = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string")
    if not type_ and not loose and not root:
        out.append(errors.field_required(f"{path}.type", f"must not be empty for specified {kind}"))
    if type_ and type_ not in TYPES:
        out.append(errors.field_not_supported(f"{path}.type", type_, TYPES))
    if type_ and schema.get("x-kubernetes-int-or-string"):
        out.append(errors.field_invalid(f"{path}.type", type_, "must be empty if x-kubernetes-int-or-string is true"))
    if schema.get("x-kubernetes-embedded-resource") and type_ != "object":
        out.append(errors.field_invalid(f"{path}.type", type_,
                                        "must be object if x-kubernetes-embedded-resource is true"))
    if type_ == "array" and not isinstance(schema.get("items"), dict):
        out.append(errors.field_required(f"{path}.items", "must be specified"))
    _forbidden(schema, path, out)
    _extensions(schema, path, out)
    out += rules.check(schema, path, root=root, blocked=blocked)
    blocked = rules.blocked_below(schema, path, blocked)
    for name, prop in schema.get("properties", {}).items():
        if not (root and name in ("metadata", "apiVersion", "kind")):
            _level(prop, f"{path}.properties[{name}]", out, kind="object fields", blocked=blocked)
    if isinstance(schema.get("items"), dict):
        _level(schema["items"], f"{path}.items", out, kind="array items", blocked=blocked)
    if isinstance(schema.get("additionalProperties"), dict):
        _level(schema["additionalProperties"], f"{path}.additionalProperties", out, kind="object fields",
               blocked=blocked)
    _validations(schema, path, out)


def _forbidden(schema: dict[str, Any], path: str, out: list[FieldError]) -> None:
    if isinstance(schema.get("items"), list):
        out.append(errors.field_forbidden(f"{path}.items", "items must be a schema object and not an array"))
    for field in ("definitions", "dependencies", "patternProperties", "additionalItems"):
        if schema.get(field):
            out.append(errors.field_forbidden(f"{path}.{field}", f"{field} is not supported"))
    for field in ("$ref", "id"):
        if schema.get(field):
            out.append(errors.field_forbidden(f"{path}.{field}", f"{field} is not supported"))
    if schema.get("uniqueItems"):
        out.append(errors.field_forbidden(
            f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
    if schema.get("additionalProperties") is False:
        out.append(errors.field_forbidden(f"{path}.additionalProperties",
                                          "additionalProperties cannot be set to false"))
    if schema.get("properties") and schema.get("additionalProperties"):
        out.append(errors.field_forbidden(f"{path}.additionalProperties",
                                          "additionalProperties and properties are mutual exclusive"))
    if pattern := schema.get("pattern"):
        try:
            re.compile(pattern)
        except re.error as e:
            out.append(errors.field_invalid(f"{path}.pattern", pattern,
                                            f"must be a valid regular expression, but isn't: {e}"))


def _extensions(schema: dict[str, Any], path: str, out: list[FieldError]) -> None:
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is not None:
        if list_type not in ("atomic", "set", "map"):
            out.append(errors.field_not_supported(f"{path}.x-kubernetes-list-type", list_type,
                                                  ("atomic", "map", "set")))
        if schema.get("type") != "array":
            out.append(errors.field_invalid(f"{path}.type", schema.get("type", ""),
                                            "must be array if x-kubernetes-list-type is specified"))
    keys = schema.get("x-kubernetes-list-map-keys")
    if list_type == "map" and not keys:
        out.append(errors.field_required(f"{path}.x-kubernetes-list-map-keys",
                                         "must not be empty if x-kubernetes-list-type is map"))
    if keys and list_type != "map":
        out.append(errors.field_invalid(f"{path}.x-kubernetes-list-type", list_type or "",
                                        "must be map if x-kubernetes-list-map-keys is non-empty"))
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is not None and map_type not in ("atomic", "granular"):
        out.append(errors.field_not_supported(f"{path}.x-kubernetes-map-type", map_type, ("atomic", "granular")))


def _validations(schema: dict[str, Any], path: str, out: list[FieldError]) -> None:
    """Inside allOf/anyOf/oneOf/not only value validation may stand, no types and no structure of their own."""
    int_or_string = [{"type": "integer"}, {"type": "string"}]
    for junctor in _JUNCTORS:
        for i, inner in enumerate(schema.get(junctor) or ()):
            if schema.get("x-kubernetes-int-or-string") and schema.get(junctor) == int_or_string:
                continue
            _value_only(inner, f"{path}.{junctor}[{i}]", out)
    if isinstance(schema.get("not"), dict):
        _value_only(schema["not"], f"{path}.not", out)


def _value_only(schema: dict[str, Any], path: str, out: list[FieldError]) -> None:
    for field in _INSIDE_FORBIDDEN:
        if field == "type" and schema.get("type") in ("integer", "string") and len(schema) == 1:
            continue  # the anyOf of int-or-string, also inside an allOf
        if schema.get(field):
            out.append(errors.field_forbidden(f"{path}.{field}", "must be empty to be structural"))
    for name, prop in schema.get("properties", {}).items():
        _value_only(prop, f"{path}.properties[{name}]", out)
    if isinstance(schema.get("items"), dict):
        _value_only(schema["items"], f"{path}.items", out)
    for junctor in _JUNCTORS:
        for i, inner in enumerate(schema.get(junctor) or ()):
            _value_only(inner, f"{path}.{junctor}[{i}]", out)
    if isinstance(schema.get("not"), dict):
        _value_only(schema["not"], f"{path}.not", out)
