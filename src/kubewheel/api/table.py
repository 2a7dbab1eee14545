"""Tables: what `kubectl get` prints, made by the server (metav1.Table).

In: a Resource, objects, now. Out: the Table dict. Called by: apiserver/render.py, CLI.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import catalog, columns
from kubewheel.api.resource import Column, Object, Resource
from kubewheel.api.schema import data, node

_GENERIC = (
    columns.NAME,
    Column("Age", lambda obj, now: columns.since(obj["metadata"].get("creationTimestamp"), now), type="date",
           description=".metadata.creationTimestamp"),
)
_definitions: dict[tuple[str, str, str], list[Object]] = {}


def column_definitions(resource: Resource) -> list[Object]:
    """columnDefinitions of a resource; descriptions that are paths come out of its schema."""
    key = resource.gvr
    # Another version shows what the hub's columns show, and describes it with the hub's words.
    described = (catalog.lookup(resource.hub) if resource.hub is not None else None) or resource
    found = _definitions.get(key) if resource.custom is None else None
    if found is None:
        found = [{"name": c.name, "type": c.type, "format": c.format, "priority": c.priority,
                  "description": _description(described, c.description)} for c in resource.columns or _GENERIC]
        if resource.custom is None:
            _definitions[key] = found
    return found


def _description(resource: Resource, text: str) -> str:
    if not text.startswith("."):
        return text
    if text.startswith(".metadata.") and resource.custom is not None:
        return ""
    at: node.Node | None = resource.node()
    found = ""
    for step in text[1:].split("."):
        while at is not None and at.type in ("list", "map"):
            at = at.items or at.values
        if at is None or step not in at.fields:
            return ""
        # Built-in types keep their words apart from their structure.
        found = data.descriptions().get(at.definition, {}).get(step, "") or at.fields[step].description
        at = at.fields[step]
    return found


def row(resource: Resource, obj: Object, now: float, *, include: str) -> Object:
    cells = [c.cell(obj, now) for c in resource.columns or _GENERIC]
    out: Object = {"cells": cells}
    if include == "Object":
        out["object"] = obj
    elif include != "None":
        out["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    if conditions := _row_conditions(resource, obj):
        out["conditions"] = conditions
    return out


def _row_conditions(resource: Resource, obj: Object) -> list[Object]:
    """Pods that are through are marked, so that clients may hide them."""
    if resource.kind != "Pod" or resource.group:
        return []
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return [{"type": "Completed", "status": "True", "reason": "Succeeded",
                 "message": "The pod has completed successfully."}]
    if phase == "Failed":
        return [{"type": "Completed", "status": "True", "reason": "Failed",
                 "message": "The pod failed."}]
    return []


def render(resource: Resource, objs: list[Object], now: float, *, include: str = "Metadata",
           list_meta: Any = None) -> Object:
    """include: Metadata | Object | None (the query's includeObject)."""
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": dict(list_meta or {}),
        "columnDefinitions": column_definitions(resource),
        "rows": [row(resource, obj, now, include=include) for obj in objs],
    }
