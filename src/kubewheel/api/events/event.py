"""events.k8s.io/v1 Event: the same objects as core/v1 events (the hub), with other field names.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import codec, columns, errors, validation
from kubewheel.api.core import event as core_event
from kubewheel.api.resource import Object, Resource

_NAMES = (("regarding", "involvedObject"), ("note", "message"), ("deprecatedSource", "source"),
          ("deprecatedFirstTimestamp", "firstTimestamp"), ("deprecatedLastTimestamp", "lastTimestamp"),
          ("deprecatedCount", "count"), ("reportingController", "reportingComponent"))


def to_core(obj: Object) -> Object:
    out = codec.copy(obj)
    out["apiVersion"] = "v1"
    for ours, core in _NAMES:
        if ours in out:
            out[core] = out.pop(ours)
    series = out.get("series")
    if series:
        series.pop("state", None)
    return out


def from_core(obj: Object) -> Object:
    out = codec.copy(obj)
    out["apiVersion"] = "events.k8s.io/v1"
    for ours, core in _NAMES:
        if core in out:
            out[ours] = out.pop(core)
    return out


def validate(obj: Object) -> list[errors.FieldError]:
    """Rules of new Events, which core/v1 does not ask of its own; upstream names some fields as core does."""
    out = core_event.rules(obj, controller="reportingController")
    if not obj.get("eventTime"):
        out.append(errors.field_required("eventTime"))
    if obj.get("type") not in ("Normal", "Warning"):
        out.append(errors.field_invalid("type", "", f"has invalid value: {obj.get('type') or ''}"))
    source = obj.get("source") or {}
    for field, given in (("firstTimestamp", obj.get("firstTimestamp")), ("lastTimestamp", obj.get("lastTimestamp")),
                         ("count", obj.get("count")), ("source", source.get("component") or source.get("host"))):
        if given:
            out.append(errors.field_invalid(field, "", "needs to be unset"))
    return out


# In upstream's order; reason comes twice.
_FIXED = ("involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "reason", "type",
          "eventTime", "action", "related", "reportingController", "reportingInstance")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    """Only the series (and metadata) of an event changes."""
    out = core_event.rules(new, controller="reportingController")
    for field in _FIXED:
        stored = "reportingComponent" if field == "reportingController" else field
        have, had = new.get(stored), old.get(stored)
        if have != had and (have or had):
            out += validation.immutable(_shown(field, have), _shown(field, had), field)
    return out


def _shown(field: str, value: Any) -> Any:
    """As upstream's internal types are printed."""
    if field in ("involvedObject", "related") and value is not None:
        return {go: value.get(ours) or "" for go, ours in (
            ("Kind", "kind"), ("Namespace", "namespace"), ("Name", "name"), ("UID", "uid"), ("APIVersion", "apiVersion"),
            ("ResourceVersion", "resourceVersion"), ("FieldPath", "fieldPath"))}
    if field == "source":
        return {"Component": (value or {}).get("component") or "", "Host": (value or {}).get("host") or ""}
    if field == "count":
        return value or 0
    return value if value is not None or field in ("firstTimestamp", "lastTimestamp", "eventTime", "related") else ""


def _on_hub(column: columns.Column) -> columns.Column:
    """Cells are written for the hub's shape; descriptions too."""
    return columns.adapted(column, to_core)


RESOURCE = Resource(
    group="events.k8s.io",
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.events.v1.Event",
    registry="events",
    validate_create_here=validate,
    validate_update_here=validate_update,
    selectable={**{f"regarding.{field}": core_event.about(field) for field in core_event.ABOUT},
                "reason": lambda obj: obj.get("reason") or "",
                "reportingController": lambda obj: obj.get("reportingComponent") or "",
                "type": lambda obj: obj.get("type") or ""},
    hub=core_event.RESOURCE.gvr,
    to_hub=to_core,
    from_hub=from_core,
    has_generation=False,
    columns=tuple(_on_hub(c) for c in core_event.RESOURCE.columns),
    create_on_update=True,
)
