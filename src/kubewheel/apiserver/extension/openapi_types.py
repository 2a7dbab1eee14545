"""The schemas of OpenAPI documents: built-in definitions and custom resources' structural schemas.

In: Resource values. Out: {name: schema} for v3 and v2. Called by: openapi.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubewheel.api.resource import Object, Resource
from kubewheel.api.schema import data

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
# What operations speak of beside the resources themselves.
COMMON = (META + "APIResourceList", META + "DeleteOptions", META + "Patch", META + "Status", META + "WatchEvent")
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
    todo = [*COMMON, META + "ObjectMeta", META + "ListMeta"]
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
    return _definition(name, _v3_property)


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
    if list(schema) == ["$ref"]:
        return {"$ref": "#/components/schemas/" + schema["$ref"]}
    return _v3_property(schema, "")


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


def _known(resource: Resource) -> Object:
    """What a custom resource is called, and the fields it can be selected by."""
    out: Object = {"x-kubernetes-group-version-kind": _gvk(resource, resource.kind)}
    if resource.selectable:
        out["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in resource.selectable]
    return out


def _with_meta(schema: Object, metadata: Object) -> Object:
    out = dict(schema)
    out.setdefault("type", "object")
    out["properties"] = dict(schema.get("properties", {})) | {
        "apiVersion": {"description": API_VERSION, "type": "string"}, "kind": {"description": KIND, "type": "string"},
        "metadata": metadata}
    return out


def _v3_custom(resource: Resource) -> Object:
    assert resource.schema_node is not None
    meta = {"description": METADATA, "allOf": [{"$ref": f"#/components/schemas/{META}ObjectMeta"}]}
    out = _with_meta(resource.schema_node.raw or {}, meta)
    return out | _known(resource)


def _v2_custom(resource: Resource) -> Object:
    assert resource.schema_node is not None
    raw = resource.schema_node.raw or {}
    meta = {"description": METADATA, "$ref": f"#/definitions/{META}ObjectMeta"}
    if raw.get("x-kubernetes-preserve-unknown-fields") and not raw.get("properties"):
        return {"type": "object", **_known(resource), "x-kubernetes-preserve-unknown-fields": True}
    out = _with_meta(to_v2(raw), meta)
    return out | _known(resource)


_NOT_IN_V2 = ("oneOf", "anyOf", "allOf", "not", "nullable", "default", "x-kubernetes-validations")


def to_v2(schema: Any) -> Any:
    """What swagger 2.0 (and clients that read it) can say of a structural schema."""
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items() if k not in _NOT_IN_V2}
    if schema.get("nullable"):
        for key in ("type", "items", "properties", "additionalProperties"):
            out.pop(key, None)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        for key in ("items", "properties", "additionalProperties"):
            out.pop(key, None)
    if schema.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
    if "properties" in out:
        out["properties"] = {k: to_v2(v) for k, v in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = to_v2(out[key])
    return out


def _custom_list(resource: Resource, prefix: str) -> Object:
    meta: Object = {"description": LIST_METADATA}
    if prefix == "#/definitions/":
        meta["$ref"] = f"{prefix}{META}ListMeta"
    else:
        meta["allOf"] = [{"$ref": f"{prefix}{META}ListMeta"}]
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}", "type": "object", "required": ["items"],
        "properties": {
            "apiVersion": {"description": API_VERSION, "type": "string"},
            "items": {"description": f"List of {resource.plural}. More info: https://git.k8s.io/community/contributors/"
                      "devel/sig-architecture/api-conventions.md", "type": "array",
                      "items": {"$ref": prefix + name_of(resource)}},
            "kind": {"description": KIND, "type": "string"}, "metadata": meta},
        "x-kubernetes-group-version-kind": _gvk(resource, resource.list_kind)}
