"""events.k8s.io/v1 Event: the same objects as core/v1 events (the hub), with other field names.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import codec, columns, errors
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
