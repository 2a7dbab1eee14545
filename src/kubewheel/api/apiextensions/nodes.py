"""A CRD version's openAPIV3Schema as a Node, the same kind of value the built-ins have.

In: schema dicts (checked by structural.py). Out: Node with `raw` set. Called by: default_values.py, extension/crd/resource.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api.schema import compile, node

ANY: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


def root(schema: dict[str, Any]) -> node.Node:
    """The node of a whole object: apiVersion, kind and metadata have their own types, whatever the schema says."""
    made = build(schema)
    made.fields["apiVersion"] = made.fields["kind"] = node.Node("string", raw={"type": "string"})
    # No copy: the definition's node is shared; defaults of metadata.name patterns live in `raw` only.
    made.fields["metadata"] = compile.definition(compile.META + "ObjectMeta")
    return made


def build(schema: dict[str, Any]) -> node.Node:
    type_ = schema.get("type", "")
    extra = schema.get("additionalProperties")
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if schema.get("x-kubernetes-int-or-string"):
        kind = "int-or-string"
    elif type_ == "object":
        kind = "map" if extra and not schema.get("properties") else "object"
    else:
        kind = {"array": "list"}.get(type_, type_) or ("object" if schema.get("properties") else "any")
    made = node.Node(
        kind, required=tuple(schema.get("required", ())), enum=tuple(schema.get("enum", ())),
        nullable=bool(schema.get("nullable")), format=schema.get("format", ""), default=schema.get("default"),
        has_default="default" in schema, list_type=schema.get("x-kubernetes-list-type", "atomic"),
        list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
        map_type=schema.get("x-kubernetes-map-type", "granular"), preserve_unknown=preserve,
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        description=schema.get("description", ""), raw=schema)
    for name, prop in (schema.get("properties") or {}).items():
        made.fields[name] = build(prop)
    if extra:
        made.values = build(extra if isinstance(extra, dict) else ANY)
    if isinstance(schema.get("items"), dict):
        made.items = build(schema["items"])
    return made
