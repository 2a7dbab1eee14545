"""Tables: what `kubectl get` prints, made by the server (metav1.Table).

In: a Resource, objects, now. Out: the Table, as JSON with rows that are kept or as a dict. Called by: apiserver/render.py, CLI.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import catalog, codec, columns, durations
from kubewheel.api.resource import Age, Column, Object, Resource
from kubewheel.api.schema import data, node

_GENERIC = (
    columns.NAME,
    columns.aging("Age", columns.ago("metadata", "creationTimestamp"), type="date",
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


class Row:
    """One object's row in JSON, but for the ages: made once for a revision of the object, shown as often as it is asked
    for. Some hundred bytes: the metadata stays a piece of the object's own JSON."""

    __slots__ = ("resource", "_cells", "_ages", "_conditions", "_metadata")

    def __init__(self, resource: Resource, obj: Object, data: bytes) -> None:
        """`data`: the object in JSON."""
        self.resource = resource
        self._cells, self._ages = _cells(resource.columns or _GENERIC, obj)
        conditions = _row_conditions(resource, obj)
        self._conditions = b',"conditions":%b}' % codec.dumps(conditions) if conditions else b"}"
        metadata = codec.dumps(obj["metadata"])
        known = data.startswith(_HEAD + metadata)
        self._metadata: bytes | int = len(_HEAD) + len(metadata) if known else metadata  # itself, or where in data it ends

    def json(self, ages: Ages, include: str, data: bytes, version: str = "v1") -> bytes:
        """The row at the moment of `ages`. `version`: of meta.k8s.io."""
        shown = [b'{"cells":[']
        for part, began in zip(self._cells, self._ages, strict=False):
            shown += (part, ages[began])
        shown.append(self._cells[-1])
        if include == "Object":
            shown += (b'],"object":', data)
        elif include != "None":
            metadata = self._metadata
            shown += (_PARTIAL if version == "v1" else _PARTIAL_BETA,
                      data[len(_HEAD):metadata] if isinstance(metadata, int) else metadata, b"}")
        else:
            shown.append(b'],"object":null')
        shown.append(self._conditions)
        return b"".join(shown)


_HEAD = b'{"metadata":'
_PARTIAL = b'],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
_PARTIAL_BETA = _PARTIAL.replace(b"/v1", b"/v1beta1")


class Ages(dict[float, bytes]):
    """Ages at one moment, by when they began: objects made together share theirs."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now

    def __missing__(self, began: float) -> bytes:
        made = self[began] = durations.human(self._now - began).encode()
        return made


def _cells(shown: tuple[Column, ...], obj: Object) -> tuple[tuple[bytes, ...], tuple[float, ...]]:
    """The cells in JSON, cut where an age belongs; and when those began."""
    parts: list[bytes] = []
    ages: list[float] = []
    text = b""
    for column in shown:
        cell = column.cell(obj, 0.0) if column.age is None else column.age(obj)
        text += b"," if text or parts else b""
        if isinstance(cell, Age):
            parts.append(text + codec.dumps(cell.before)[:-1])
            ages.append(cell.began)
            text = codec.dumps(cell.after)[1:]
        else:
            text += codec.dumps(cell)
    return (*parts, text), tuple(ages)


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


def joined(resource: Resource, rows: list[bytes], meta: Object, *, version: str = "v1", defined: bool = True) -> bytes:
    """The Table of rows in JSON. `defined`: with what the columns are."""
    head = codec.dumps({"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": meta,
                        "columnDefinitions": column_definitions(resource) if defined else None})
    return b'%b,"rows":[%b]}' % (head[:-1], b",".join(rows))


def render(resource: Resource, objs: list[Object], now: float, *, include: str = "Metadata",
           list_meta: Any = None) -> Object:
    """include: Metadata | Object | None (the query's includeObject)."""
    ages, rows = Ages(now), []
    for obj in objs:
        data = codec.dumps(obj)
        rows.append(Row(resource, obj, data).json(ages, include, data))
    return codec.loads(joined(resource, rows, dict(list_meta or {})))
