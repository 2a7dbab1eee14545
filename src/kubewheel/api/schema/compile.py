"""Definitions of the type data become Nodes, lazily and once per process.

In: a definition's name. Out: node.Node, shared, possibly cyclic (JSONSchemaProps). Called by: schema.definition.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from kubewheel.api.schema import data
from kubewheel.api.schema.node import Node

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

# Definitions with JSON of their own (Go's custom unmarshallers).
LEAVES = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    META + "Time": "time",
    META + "MicroTime": "microtime",
    META + "FieldsV1": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    EXTENSIONS + "JSON": "any",
    EXTENSIONS + "JSONSchemaPropsOrArray": "any",
    EXTENSIONS + "JSONSchemaPropsOrBool": "any",
    EXTENSIONS + "JSONSchemaPropsOrStringArray": "any",
}

_FORMATS = {("string", "byte"): "bytes", ("string", "int-or-string"): "int-or-string"}
_nodes: dict[str, Node] = {}


def definition(name: str) -> Node:
    """The node of a definition ("io.k8s.api.apps.v1.Deployment"). KeyError for an unknown name."""
    found = _nodes.get(name)
    if found is None:
        found = _nodes[name] = _shell(name, data.definitions()[name])
        # Registered before it is filled: a definition may lead back to itself.
        _fill(found, data.definitions()[name])
    return found


def _shell(name: str, schema: dict[str, Any]) -> Node:
    if leaf := LEAVES.get(name):
        return Node(leaf, definition=name)
    return Node("object", required=tuple(schema.get("required", ())), definition=name,
                map_type=schema.get("x-kubernetes-map-type", "granular"),
                unions=tuple(schema.get("x-kubernetes-unions", ())))


def _fill(target: Node, schema: dict[str, Any]) -> None:
    if target.type == "object":
        for field, prop in schema.get("properties", {}).items():
            target.fields[field] = _build(prop)


def _build(schema: dict[str, Any]) -> Node:
    strategy = tuple(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(",")))
    if ref := schema.get("$ref"):
        return _referring(definition(ref), schema, strategy)
    kind = schema["type"]
    if kind == "array":
        return Node("list", items=_build(schema["items"]), list_type=schema.get("x-kubernetes-list-type", "atomic"),
                    list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())), patch_strategy=strategy,
                    patch_merge_key=schema.get("x-kubernetes-patch-merge-key", ""))
    if kind == "object":
        values = schema.get("additionalProperties")
        return Node("map" if values else "object", values=_build(values) if values else None,
                    map_type=schema.get("x-kubernetes-map-type", "granular"), patch_strategy=strategy)
    form = schema.get("format", "")
    return Node(_FORMATS.get((kind, form), kind), format=form)


def _referring(target: Node, schema: dict[str, Any], strategy: tuple[str, ...]) -> Node:
    """A field of a definition's type; attributes beside the $ref belong to the field, not to the definition."""
    map_type = schema.get("x-kubernetes-map-type", target.map_type)
    if not strategy and map_type == target.map_type:
        return target
    # `fields` is shared with the definition on purpose: it may still be being filled.
    return dataclasses.replace(target, patch_strategy=strategy, map_type=map_type,
                               patch_merge_key=schema.get("x-kubernetes-patch-merge-key", ""))
