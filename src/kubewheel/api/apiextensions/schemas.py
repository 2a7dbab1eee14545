"""A CRD version's openAPIV3Schema: what it may say, what its defaults and rules must be.

In: the schema and where it stands. Out: FieldErrors with upstream's words. Called by: definition.py.
The order is upstream's: structure first; rules are looked at only where the schemas they stand in are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kubewheel.api import errors
from kubewheel.api.apiextensions import default_values, formats, internal, rules, structural
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]
TYPES = ("array", "boolean", "integer", "number", "object", "string")
CRD_COST_LIMIT = 100_000_000  # of all rules of one schema
_NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_AT_ROOT = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength",
    "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties",
    "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations")
_ZERO: tuple[Any, ...] = ("", False, 0)
_POINTERS = frozenset({  # fields that are there even where they are zero
    "$ref", "default", "maximum", "minimum", "maxLength", "minLength", "maxItems", "minItems", "multipleOf", "maxProperties",
    "minProperties", "additionalProperties", "additionalItems", "example", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type", "x-kubernetes-map-type"})


@dataclass(frozen=True, slots=True)
class Place:
    """What holds for a schema because of where it stands."""

    root: bool = False
    no_defaults: str = ""  # why
    in_meta: bool = False
    uncorrelated: str = ""  # the list or map above whose parts are not found again in an old value
    cardinality: int | None = 1  # how many of it one object may hold; None: as many as fit into a request


@dataclass(slots=True)
class Costs:
    """What all rules of a schema cost together, and the dearest of them."""

    total: int = 0
    dearest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: str, cost: int) -> None:
        self.total += cost
        self.dearest = sorted([*self.dearest, (cost, path)], key=lambda c: -c[0])[:4]


def check(schema: Schema, path: str, *, status: bool = False, unchanged: bool = False) -> list[FieldError]:
    """`status`: the status subresource is on; `unchanged`: an update left it as it was, costs are not judged again."""
    out = _root_fields(schema, path) if status else []
    if schema.get("nullable"):
        out.append(errors.field_forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    obstacle = structural.obstacle(schema)
    structure = [] if obstacle else structural.check(schema, path) or default_values.check(schema, path)
    costs = None if structure or obstacle else Costs()
    found, refused = _level(schema, path, Place(root=True), costs)
    # What an update leaves as it was is not too dear all at once; but all rules together may be.
    out += structure + found + (_ratcheted(refused) if unchanged else refused)
    if obstacle and not out:
        out.append(errors.field_invalid(path, "", obstacle))
    if costs is not None and costs.total > CRD_COST_LIMIT:
        out += [errors.field_forbidden(at, "contributed to estimated rule cost total exceeding cost limit for entire "
                                           "OpenAPIv3 schema") for _, at in costs.dearest]
        out.append(errors.field_forbidden(path, rules.too_dear(
            "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", costs.total, CRD_COST_LIMIT)))
    return out


def _ratcheted(found: list[FieldError]) -> list[FieldError]:
    return [e for e in found if "exceeds budget by factor of" not in e.body]


def _root_fields(schema: Schema, path: str) -> list[FieldError]:
    """In the order of the internal type's fields: the first that may not be there is told, and ends the search."""
    for wire, shown in internal.ORDER:
        value = schema.get(wire)
        if value is None or (value in _ZERO and wire not in _POINTERS):
            continue
        if wire == "type" and value != "object":
            return [errors.field_invalid(f"{path}.type", value, 'only "object" is allowed as the type at the root of the '
                                                                "schema if the status subresource is enabled")]
        if shown not in _AT_ROOT:
            words = (f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema if the status subresource is "
                     "enabled")
            return [errors.field_invalid(path, internal.schema(schema), words)]
    return []


def _level(schema: Schema, path: str, place: Place, costs: Costs | None) -> tuple[list[FieldError], list[FieldError]]:
    """(findings of the schema here and below, findings of the rules). `costs` None: rules are not looked at."""
    out = _standard(schema, path, place)
    refused: list[FieldError] = []
    for inner, at, there, has_rules in _below(schema, path, place):
        found, more = _level(inner, at, there, costs if has_rules else None)
        out += found
        refused += more
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        out.append(errors.field_invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined"))
    out += _map_type(schema, path) + _list_type(schema, path)
    declared_rules = schema.get(rules.EXTENSION) or ()
    for i, rule in enumerate(declared_rules):
        out += rules.words(rule, schema, f"{path}.{rules.EXTENSION}[{i}]")
    if declared_rules and costs is not None and not out:
        whole = place.root or bool(schema.get("x-kubernetes-embedded-resource"))
        refused += rules.check(schema, path, root=whole, blocked=place.uncorrelated, cardinality=place.cardinality,
                               spent=costs.add)
    return out, refused


def _below(schema: Schema, path: str, place: Place) -> Iterator[tuple[Schema, str, Place, bool]]:
    """(schema, where, its place, whether its rules are looked at), in upstream's order."""
    inside = replace(place, root=False)
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, dict):
        there = replace(inside, cardinality=_times(place, schema.get("maxProperties")))
        if place.in_meta:
            there = replace(there, no_defaults="inside additionalProperties applying to object metadata")
        yield extra, f"{path}.additionalProperties", there, True
    for name, prop in (schema.get("properties") or {}).items():
        yield prop, f"{path}.properties[{name}]", _of_property(schema, name, place), True
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{path}.not", inside, False
    for junctor in ("allOf", "oneOf", "anyOf"):
        for i, inner in enumerate(schema.get(junctor) or ()):
            yield inner, f"{path}.{junctor}[{i}]", inside, False
    for name, inner in (schema.get("definitions") or {}).items():
        yield inner, f"{path}.definitions[{name}]", inside, False
    there = replace(inside, cardinality=_times(place, schema.get("maxItems")))
    if schema.get("x-kubernetes-list-type") != "map":
        there = replace(there, uncorrelated=place.uncorrelated or path)
    if isinstance(items, dict):
        yield items, f"{path}.items", there, True
    elif isinstance(items, list):
        for i, inner in enumerate(items):
            yield inner, f"{path}.items[{i}]", there, True
    for name, inner in (schema.get("dependencies") or {}).items():
        if isinstance(inner, dict):
            yield inner, f"{path}.dependencies[{name}]", inside, False


def _of_property(schema: Schema, name: str, place: Place) -> Place:
    there = replace(place, root=False)
    if (place.root or schema.get("x-kubernetes-embedded-resource")) and name in ("metadata", "apiVersion", "kind"):
        there = replace(there, in_meta=True)
        if place.root:
            there = replace(there, no_defaults=f"in top-level {name}")
    return there


def _times(place: Place, most: int | None) -> int | None:
    return None if place.cardinality is None or most is None else place.cardinality * max(most, 0)


# -- what a schema may say ----------------------------------------------------------------------------------------
def _standard(schema: Schema, path: str, place: Place) -> list[FieldError]:
    out = []
    type_ = schema.get("type") or ""
    if type_ and type_ not in TYPES:
        out.append(errors.field_not_supported(f"{path}.type", type_, TYPES))
    if schema.get("default") is not None and place.no_defaults:
        out.append(errors.field_forbidden(f"{path}.default", f"must not be set {place.no_defaults}"))
    for name in _NOT_SUPPORTED:
        if schema.get(name) if name not in _POINTERS else schema.get(name) is not None:
            out.append(errors.field_forbidden(f"{path}.{name}", f"{name} is not supported"))
    if type_ == "null":
        out.append(errors.field_forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    if isinstance(schema.get("items"), list):
        out.append(errors.field_forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if place.in_meta and schema.get("x-kubernetes-embedded-resource"):
        out.append(errors.field_forbidden(f"{path}.x-kubernetes-embedded-resource",
                                          "must not be used inside of resource meta"))
    if schema.get("uniqueItems"):
        out.append(errors.field_forbidden(
            f"{path}.uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"))
    extra = schema.get("additionalProperties")
    if schema.get("properties") and extra is not None and extra is not True:
        out.append(errors.field_forbidden(f"{path}.additionalProperties",
                                          "additionalProperties and properties are mutual exclusive"))
    return out


def _needs_type(schema: Schema, path: str, extension: str, wanted: str) -> list[FieldError]:
    type_ = schema.get("type") or ""
    words = f"must be {wanted} if {extension} is specified"
    if type_ == wanted:
        return []
    return [errors.field_invalid(f"{path}.type", type_, words) if type_ else errors.field_required(f"{path}.type", words)]


def _map_type(schema: Schema, path: str) -> list[FieldError]:
    map_type, name = schema.get("x-kubernetes-map-type"), "x-kubernetes-map-type"
    if map_type is None:
        return []
    out = _needs_type(schema, path, name, "object")
    if map_type not in ("atomic", "granular"):
        out.append(errors.field_not_supported(f"{path}.{name}", map_type, ("atomic", "granular"), ordered=True))
    return out


def _list_type(schema: Schema, path: str) -> list[FieldError]:
    list_type, name = schema.get("x-kubernetes-list-type"), "x-kubernetes-list-type"
    keys, items = schema.get("x-kubernetes-list-map-keys") or [], schema.get("items")
    out: list[FieldError] = []
    if list_type is not None:
        out += _needs_type(schema, path, name, "array")
        if not out and list_type == "set" and isinstance(items, dict):
            out += _set_items(items, f"{path}.items")
        if list_type not in ("atomic", "set", "map"):
            out.append(errors.field_not_supported(f"{path}.{name}", list_type, ("atomic", "set", "map"), ordered=True))
    if keys and list_type != "map":
        words = "must be map if x-kubernetes-list-map-keys is non-empty"
        out.append(errors.field_required(f"{path}.{name}", words) if list_type is None
                   else errors.field_invalid(f"{path}.{name}", list_type, words))
    if list_type == "map":
        out += _map_items(items, keys, path)
    if list_type in ("map", "set") and isinstance(items, dict):
        out += _not_nullable(items, keys if list_type == "map" else [], list_type, f"{path}.items")
    return out


def _set_items(items: Schema, path: str) -> list[FieldError]:
    """Elements of a set are compared whole, so they are atomic."""
    words = "must be atomic as item of a list with x-kubernetes-list-type=set"
    inner = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and inner not in (None, "atomic"):
        return [errors.field_invalid(f"{path}.x-kubernetes-list-type", inner, words)]
    inner = items.get("x-kubernetes-map-type")
    if items.get("type") == "object" and inner != "atomic":  # it is the list type that upstream shows
        return [errors.field_invalid(f"{path}.x-kubernetes-map-type", items.get("x-kubernetes-list-type"), words)]
    return []


def _map_items(items: Any, keys: list[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    at = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        out.append(errors.field_required(at, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        return [*out, errors.field_required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")]
    if not isinstance(items, dict):
        return [*out, errors.field_invalid(f"{path}.items", internal.items(items),
                                           "must only have a single schema if x-kubernetes-list-type is map")]
    if items.get("type") != "object":
        return [*out, errors.field_invalid(f"{path}.items.type", items.get("type") or "",
                                           "must be object if parent array's x-kubernetes-list-type is map")]
    for i, key in enumerate(keys):
        prop = (items.get("properties") or {}).get(key)
        if prop is None:
            out.append(errors.field_invalid(at, keys, "entries must all be names of item properties"))
        elif prop.get("type") in ("array", "object"):
            out.append(errors.field_invalid(f"{path}.items.properties[{key}].type", items["type"],
                                            "must be a scalar type if parent array's x-kubernetes-list-type is map"))
        if key in keys[:i]:
            out.append(errors.field_invalid(at, keys, "must not contain duplicate entries"))
    return out


def _not_nullable(items: Schema, keys: list[str], list_type: str, path: str) -> list[FieldError]:
    """Elements of sets and maps are there, and so are the keys of those of maps."""
    out: list[FieldError] = []
    if items.get("nullable"):
        out.append(errors.field_forbidden(f"{path}.nullable", f"cannot be nullable when x-kubernetes-list-type is {list_type}"))
    for key in keys:
        prop, where = (items.get("properties") or {}).get(key), f"{path}.properties[{key}]"
        if prop is None:
            continue
        if key not in (items.get("required") or ()) and prop.get("default") is None:
            out.append(errors.field_required(f"{where}.default", "this property is in x-kubernetes-list-map-keys, so it "
                                                                 "must have a default or be a required property"))
        if prop.get("nullable"):
            out.append(errors.field_forbidden(f"{where}.nullable", "this property is in x-kubernetes-list-map-keys, so it "
                                                                   "cannot be nullable"))
    return out


# -- warnings -----------------------------------------------------------------------------------------------------
def unknown_formats(schema: Schema) -> list[str]:
    """The formats that say nothing, in the order they stand, each as often as it does."""
    out: list[str] = []
    form, kind = schema.get("format"), schema.get("type") or ""
    if form and not formats.is_known(form, kind):
        out.append(form)
    inner: list[Any] = [schema.get("items"), schema.get("not"), schema.get("additionalProperties")]
    for junctor in ("allOf", "anyOf", "oneOf"):
        inner += schema.get(junctor) or ()
    inner += (schema.get("properties") or {}).values()
    for one in inner:
        if isinstance(one, dict):
            out += unknown_formats(one)
    return out
