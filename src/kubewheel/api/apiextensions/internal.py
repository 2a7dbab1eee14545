"""A CRD's versions and schemas as upstream's messages print them: the internal type, every field by its Go name.

In: what the wire has. Out: JSON values in the order of the internal type's fields. Called by: definition.py, schemas.py,
rules.py, where a message shows a whole schema, version or rule as the bad value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]
# (Go's name, the wire's, what is printed where it is absent)
_FIELDS: tuple[tuple[str, str, Any], ...] = (
    ("ID", "id", ""), ("Schema", "$schema", ""), ("Ref", "$ref", None), ("Description", "description", ""),
    ("Type", "type", ""), ("Nullable", "nullable", False), ("Format", "format", ""), ("Title", "title", ""),
    ("Default", "default", None), ("Maximum", "maximum", None), ("ExclusiveMaximum", "exclusiveMaximum", False),
    ("Minimum", "minimum", None), ("ExclusiveMinimum", "exclusiveMinimum", False), ("MaxLength", "maxLength", None),
    ("MinLength", "minLength", None), ("Pattern", "pattern", ""), ("MaxItems", "maxItems", None),
    ("MinItems", "minItems", None), ("UniqueItems", "uniqueItems", False), ("MultipleOf", "multipleOf", None),
    ("Enum", "enum", None), ("MaxProperties", "maxProperties", None), ("MinProperties", "minProperties", None),
    ("Required", "required", None), ("Items", "items", None), ("AllOf", "allOf", None), ("OneOf", "oneOf", None),
    ("AnyOf", "anyOf", None), ("Not", "not", None), ("Properties", "properties", None),
    ("AdditionalProperties", "additionalProperties", None), ("PatternProperties", "patternProperties", None),
    ("Dependencies", "dependencies", None), ("AdditionalItems", "additionalItems", None),
    ("Definitions", "definitions", None), ("ExternalDocs", "externalDocs", None), ("Example", "example", None),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", None),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", False), ("XIntOrString", "x-kubernetes-int-or-string", False),
    ("XListMapKeys", "x-kubernetes-list-map-keys", None), ("XListType", "x-kubernetes-list-type", None),
    ("XMapType", "x-kubernetes-map-type", None), ("XValidations", "x-kubernetes-validations", None))
ORDER = tuple((wire, shown) for shown, wire, _ in _FIELDS)


def schema(given: Schema) -> Schema:
    return {shown: _SPECIAL[wire](given[wire]) if wire in _SPECIAL and given.get(wire) is not None
            else given.get(wire, absent) for shown, wire, absent in _FIELDS}


def rule(given: Schema) -> Schema:
    return {"Rule": given.get("rule") or "", "Message": given.get("message") or "",
            "MessageExpression": given.get("messageExpression") or "", "Reason": given.get("reason"),
            "FieldPath": given.get("fieldPath") or "", "OptionalOldSelf": given.get("optionalOldSelf")}


def items(given: Any) -> Schema:
    if isinstance(given, list):
        return {"Schema": None, "JSONSchemas": _list(given)}
    return {"Schema": schema(given), "JSONSchemas": None}


def versions(given: Sequence[Schema], hoisted: frozenset[str]) -> list[Schema]:
    """`hoisted`: the fields that all versions share, which stand at the top of the internal type and not here."""
    return [_version({k: v for k, v in one.items() if k not in hoisted}) for one in given]


def _version(given: Schema) -> Schema:
    declared, subs = given.get("schema"), given.get("subresources")
    return {"Name": given.get("name") or "", "Served": bool(given.get("served")), "Storage": bool(given.get("storage")),
            "Deprecated": bool(given.get("deprecated")), "DeprecationWarning": given.get("deprecationWarning"),
            "Schema": None if declared is None else {"OpenAPIV3Schema": _optional(declared.get("openAPIV3Schema"))},
            "Subresources": None if subs is None else _subresources(subs),
            "AdditionalPrinterColumns": _listed(given.get("additionalPrinterColumns"), _column),
            "SelectableFields": _listed(given.get("selectableFields"), lambda f: {"JSONPath": f.get("jsonPath") or ""})}


def _subresources(given: Schema) -> Schema:
    scale = given.get("scale")
    return {"Status": given.get("status"), "Scale": None if scale is None else {
        "SpecReplicasPath": scale.get("specReplicasPath") or "", "StatusReplicasPath": scale.get("statusReplicasPath") or "",
        "LabelSelectorPath": scale.get("labelSelectorPath")}}


def _column(given: Schema) -> Schema:
    return {"Name": given.get("name") or "", "Type": given.get("type") or "", "Format": given.get("format") or "",
            "Description": given.get("description") or "", "Priority": given.get("priority") or 0,
            "JSONPath": given.get("jsonPath") or ""}


def _listed(given: Sequence[Schema] | None, shown: Any) -> list[Schema] | None:
    return None if given is None else [shown(g) for g in given]


def _optional(given: Schema | None) -> Schema | None:
    return None if given is None else schema(given)


def _list(given: Sequence[Schema]) -> list[Schema]:
    return [schema(g) for g in given]


def _map(given: Schema) -> Schema:
    return {name: schema(given[name]) for name in sorted(given)}


def _or_bool(given: Any) -> Schema:
    if isinstance(given, bool):
        return {"Allows": given, "Schema": None}
    return {"Allows": True, "Schema": schema(given)}


def _dependencies(given: Schema) -> Schema:
    return {name: {"Schema": None, "Property": given[name]} if isinstance(given[name], list)
            else {"Schema": schema(given[name]), "Property": None} for name in sorted(given)}


_SPECIAL: dict[str, Any] = {
    "items": items, "allOf": _list, "oneOf": _list, "anyOf": _list, "not": schema, "properties": _map,
    "additionalProperties": _or_bool, "patternProperties": _map, "definitions": _map, "dependencies": _dependencies,
    "additionalItems": _or_bool, "x-kubernetes-validations": lambda found: [rule(r) for r in found],
    "externalDocs": lambda d: {"Description": d.get("description") or "", "URL": d.get("url") or ""}}
