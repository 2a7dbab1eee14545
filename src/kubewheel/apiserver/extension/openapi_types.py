"""The schemas of OpenAPI documents: built-in definitions and custom resources' structural schemas.

In: Resource values. Out: {name: schema} for v3 and v2. Called by: openapi.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubewheel.api.resource import Object, Resource
from kubewheel.api.schema import data
from kubewheel.apiserver.extension import openapi_defaults as defaults

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
# What operations speak of beside the resources themselves.
COMMON = (META + "DeleteOptions", META + "Patch", META + "Status", META + "ObjectMeta", META + "ListMeta")
OF_BUILT_INS = (META + "APIResourceList", META + "WatchEvent")
API_VERSION = ("APIVersion defines the versioned schema of this representation of an object. Servers should convert "
               "recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
               "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources")
KIND = ("Kind is a string value representing the REST resource this object represents. Servers may infer this from "
        "the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
        "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds")
METADATA = ("Standard object's metadata. More info: "
            "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata")
LIST_METADATA = ("Standard list metadata. More info: "
                 "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds")


def name_of(resource: Resource) -> str:
    """The definition's name; custom resources get the group backwards: `com.example.stable.v1.CronTab`."""
    if resource.definition:
        return resource.definition
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_name_of(resource: Resource) -> str:
    return name_of(resource).rpartition(".")[0] + "." + resource.list_kind


def v3(resources: Sequence[Resource]) -> dict[str, Object]:
    return _collect(resources, _v3_definition, _v3_custom, "#/components/schemas/")


def v2(resources: Sequence[Resource]) -> dict[str, Object]:
    return _collect(resources, _v2_definition, _v2_custom, "#/definitions/")


def _collect(resources: Sequence[Resource], built_in: Callable[[str], Object], custom: Callable[[Resource], Object],
             prefix: str) -> dict[str, Object]:
    out: dict[str, Object] = {}
    todo = [*COMMON, *(OF_BUILT_INS if any(r.custom is None for r in resources) else ())]
    for resource in resources:
        if resource.definition:
            todo.append(resource.definition)
            todo += [n for n in (resource.definition + "List",) if n in data.definitions()]
            todo += [n for n in map(sub_definition, _foreign(resource)) if n in data.definitions()]
        else:
            out[name_of(resource)] = custom(resource)
            out[list_name_of(resource)] = _custom_list(resource, prefix)
            if any(s.name == "scale" for s in resource.subresources):
                todo.append("io.k8s.api.autoscaling.v1.Scale")
    return _closed(out, todo, built_in)


def named(names: Iterable[str]) -> dict[str, Object]:
    """These definitions for v3, with all that they speak of."""
    return _closed({}, list(names), _v3_definition)


def _closed(out: dict[str, Object], todo: list[str], built_in: Callable[[str], Object]) -> dict[str, Object]:
    while todo:
        name = todo.pop()
        if name not in out:
            out[name] = built_in(name)
            todo += _references(data.definitions()[name])
    return dict(sorted(out.items()))


def _foreign(resource: Resource) -> list[tuple[str, str, str]]:
    return [(s.group or resource.group, s.version or resource.version, s.kind) for s in resource.subresources]


def sub_definition(kind: tuple[str, str, str]) -> str:
    group = kind[0].removesuffix(".k8s.io").split(".")[0] or "core"
    return f"io.k8s.api.{group}.{kind[1]}.{kind[2]}"


def _references(schema: Object) -> list[str]:
    out = []
    for prop in schema.get("properties", {}).values():
        while isinstance(prop, dict):
            if "$ref" in prop:
                out.append(prop["$ref"])
            prop = prop.get("items") or prop.get("additionalProperties")
    return out


# -- built-ins ----------------------------------------------------------------------------------------------------
def _definition(name: str, prop: Callable[[Object, str], Object]) -> Object:
    schema, texts = data.definitions()[name], data.descriptions().get(name, {})
    out: Object = {}
    if "" in texts:
        out["description"] = texts[""]
    for key, value in schema.items():
        if key == "properties":
            out[key] = {field: prop(p, texts.get(field, "")) for field, p in value.items()}
        else:
            out[key] = value
    return out


def _v3_definition(name: str) -> Object:
    if name == QUANTITY:
        return {"description": data.descriptions().get(name, {}).get("", "Quantity is a fixed-point representation "
                "of a number."), "oneOf": [{"type": "string"}, {"type": "number"}]}
    if name == INT_OR_STRING:
        return {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
    out = _definition(name, _v3_property)
    if "properties" not in out:
        return out
    shapes, required = data.definitions()[name]["properties"], set(out.get("required", ()))
    kind = name.rpartition(".")[2]
    for field, made in out["properties"].items():
        default = _default(shapes[field], kind, field, required=field in required)
        if default is not None:
            made["default"] = default
        elif list(made) == ["allOf"]:  # a reference stands in a list only beside something else
            out["properties"][field] = made["allOf"][0]
    return out


def _v3_property(schema: Object, text: str) -> Object:
    out: Object = {"description": text} if text else {}
    for key, value in schema.items():
        if key == "$ref":
            out["allOf"] = [{"$ref": "#/components/schemas/" + value}]
        elif key in ("items", "additionalProperties"):
            out[key] = _v3_inner(value)
        else:
            out[key] = value
    return out


def _v3_inner(schema: Object) -> Object:
    if list(schema) == ["$ref"] and not _is_struct(schema["$ref"]):
        return {"$ref": "#/components/schemas/" + schema["$ref"]}
    made = _v3_property(schema, "")
    if "$ref" in schema:
        made["default"] = {}
    elif schema.get("type") in defaults.ZERO:
        made["default"] = defaults.ZERO[schema["type"]]
    return made


def _is_struct(name: str) -> bool:
    """Whether objects of the definition have a zero value of their own: not so what is written as a string or as
    it comes."""
    return bool(data.definitions()[name].get("properties"))


def _default(schema: Object, kind: str, field: str, *, required: bool) -> Any:
    name = f"{kind}.{field}"
    if "$ref" in schema:
        struct = field in defaults.ALWAYS or name in defaults.STRUCTS
        return {} if struct and _is_struct(schema["$ref"]) else None
    if name in defaults.OTHERS:
        return defaults.OTHERS[name]
    if required and name not in defaults.WITHOUT or name in defaults.ZEROES:
        return defaults.ZERO.get(schema.get("type", ""))
    return None


def _v2_definition(name: str) -> Object:
    return _definition(name, _v2_property)


def _v2_property(schema: Object, text: str = "") -> Object:
    out: Object = {"description": text} if text else {}
    for key, value in schema.items():
        if key == "$ref":
            out[key] = "#/definitions/" + value
        elif key in ("items", "additionalProperties"):
            out[key] = _v2_property(value)
        else:
            out[key] = value
    return out


# -- custom resources ---------------------------------------------------------------------------------------------
def _gvk(resource: Resource, kind: str) -> list[Object]:
    return [{"group": resource.group, "kind": kind, "version": resource.version}]


def _known(resource: Resource, kind: str) -> Object:
    """What a custom resource, or its list, is called, and the fields it can be selected by."""
    out: Object = {"x-kubernetes-group-version-kind": _gvk(resource, kind)}
    if resource.selectable:
        out["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in resource.selectable]
    return out


def _meta(name: str, text: str, *, v2: bool) -> Object:
    if v2:
        return {"description": text, "$ref": f"#/definitions/{META}{name}"}
    return {"description": text, "allOf": [{"$ref": f"#/components/schemas/{META}{name}"}]}


def _type_meta(api_version: str = API_VERSION, kind: str = KIND) -> Object:
    return {"apiVersion": {"description": api_version, "type": "string"}, "kind": {"description": kind, "type": "string"}}


def _custom(resource: Resource, schema: Object, *, v2: bool) -> Object:
    out = {"type": "object"} | schema
    out["properties"] = schema.get("properties", {}) | _type_meta() | {"metadata": _meta("ObjectMeta", METADATA, v2=v2)}
    return out | _known(resource, resource.kind)


def _v3_custom(resource: Resource) -> Object:
    assert resource.schema_node is not None
    return _custom(resource, to_v3(resource.schema_node.raw or {}), v2=False)


def _v2_custom(resource: Resource) -> Object:
    assert resource.schema_node is not None
    raw = resource.schema_node.raw or {}
    if raw.get("x-kubernetes-preserve-unknown-fields"):  # opaque, or kubectl would refuse what it does not know
        return {"type": "object", **_known(resource, resource.kind)}
    return _custom(resource, to_v2(raw), v2=True)


_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_EMBEDDED = _type_meta(API_VERSION.replace("APIVersion", "apiVersion").replace(
    " Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values.", ""),
    "kind is a string value representing the type of this object. In CamelCase. More info: " + KIND.rpartition(" ")[2])


def _plain(key: str, value: Any) -> bool:
    """Whether a field is written at all: what is empty or false is not, limits of 0 and defaults are."""
    return key in ("default", "example") or value not in (None, False, "", [], {}) or (
        not isinstance(value, bool) and value == 0)


def _embed(out: Object, *, v2: bool) -> None:
    out["properties"] = out.get("properties", {}) | _EMBEDDED | {"metadata": _meta("ObjectMeta", METADATA, v2=v2)}
    required = out.get("required", [])
    out["required"] = [*required, *(f for f in ("kind", "apiVersion") if f not in required)]


def to_v3(schema: Any) -> Any:
    """A structural schema as it is published."""
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items() if _plain(k, v)}
    if "properties" in out:
        out["properties"] = {k: to_v3(v) for k, v in out["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if key in out:
            out[key] = to_v3(out[key])
    for key in _JUNCTORS:
        if key in out:
            out[key] = [to_v3(v) for v in out[key]]
    if out.get("x-kubernetes-int-or-string") and "anyOf" not in out and (
            (out.get("allOf") or [{}])[0].get("anyOf") != _INT_OR_STRING):
        out["anyOf"] = _INT_OR_STRING
    if out.get("x-kubernetes-embedded-resource"):
        _embed(out, v2=False)
    return out


def to_v2(schema: Any) -> Any:
    """What swagger 2.0 (and clients that read it) can say of a structural schema."""
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items() if _plain(k, v) and k not in (*_JUNCTORS, "not", "nullable", "default")}
    if schema.get("nullable"):
        out.pop("type", None)
    if schema.get("nullable") or schema.get("x-kubernetes-preserve-unknown-fields"):
        out.pop("items", None)
        out.pop("properties", None)
    if out.get("type") == "array" and "items" not in out or (
            out.get("type") == "object" and out.get("x-kubernetes-preserve-unknown-fields")):
        del out["type"]
    nullable = {k for k, v in out.get("properties", {}).items() if v.get("nullable")}
    if isinstance(values := out.get("additionalProperties"), dict) and values.get("nullable"):
        out.pop("required", None)
    if left := [f for f in out.get("required", ()) if f not in nullable]:
        out["required"] = left
    else:
        out.pop("required", None)
    if "properties" in out:
        out["properties"] = {k: to_v2(v) for k, v in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = to_v2(out[key])
    if out.get("x-kubernetes-embedded-resource") and not out.get("x-kubernetes-preserve-unknown-fields"):
        _embed(out, v2=True)
    return out


def _custom_list(resource: Resource, prefix: str) -> Object:
    v2 = prefix == "#/definitions/"
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}", "type": "object", "required": ["items"],
        "properties": {
            "items": {"description": f"List of {resource.plural}. More info: https://git.k8s.io/community/contributors/"
                      "devel/sig-architecture/api-conventions.md", "type": "array",
                      "items": {"$ref": prefix + name_of(resource)}},
            **_type_meta(), "metadata": _meta("ListMeta", LIST_METADATA, v2=v2)},
        **_known(resource, resource.list_kind)}
