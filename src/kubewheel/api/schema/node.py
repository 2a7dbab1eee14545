"""One node of a compiled schema. Built-ins (from the OpenAPI data) and CRDs (structural schemas) make the same.

In: nothing. Out: the data type every schema walker reads: check (unknown fields, types), defaults, merge/.
Walkers treat nodes as read-only. Nodes may be cyclic (JSONSchemaProps).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    # "object" (known `fields`), "map" (`values` for every key), "list", "string", "integer", "number", "boolean",
    # "quantity", "int-or-string", "any" (anything goes: RawExtension, JSON, FieldsV1), "bytes" (base64 text),
    # "time", "microtime", "duration"
    type: str
    fields: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None  # map: of each value. object: additionalProperties beside fields (CRDs)
    items: Node | None = None
    required: tuple[str, ...] = ()
    enum: tuple[Any, ...] = ()
    nullable: bool = False
    format: str = ""  # int32, int64, double …
    default: Any = None  # a JSON value; None is no default (see has_default for a default of null)
    has_default: bool = False
    list_type: str = "atomic"  # atomic | set | map (x-kubernetes-list-type)
    list_map_keys: tuple[str, ...] = ()
    map_type: str = "granular"  # granular | atomic (x-kubernetes-map-type)
    patch_strategy: tuple[str, ...] = ()  # merge, retainKeys, replace
    patch_merge_key: str = ""
    unions: tuple[Any, ...] = ()
    preserve_unknown: bool = False  # x-kubernetes-preserve-unknown-fields
    embedded: bool = False  # x-kubernetes-embedded-resource
    definition: str = ""  # "io.k8s.api.core.v1.PodSpec" on built-ins
    description: str = ""
    raw: dict[str, Any] | None = None  # CRDs: the schema as written (validations, formats, bounds)
    compiled: Any = None  # the fast checker of decode.py, made on first use
    tracked: Any = None  # merge/typed.py's walkers, made on first use
