"""events.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, fill, names, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Age, Column, Object, Resource


def defaults(obj: Object) -> None:
    """Go prints these though nothing is in them."""
    fill.absent(obj, source={}, involvedObject={}, reportingComponent="", reportingInstance="")
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        obj.setdefault(field, None)


def validate(obj: Object) -> list[errors.FieldError]:
    return rules(obj, controller="reportingComponent")


def rules(obj: Object, *, controller: str) -> list[errors.FieldError]:
    """What holds in both API groups; `controller` is the field's name in the one asked."""
    out: list[errors.FieldError] = []
    namespace, of = obj["metadata"].get("namespace") or "", dig(obj, "involvedObject", "namespace") or ""
    stranger = errors.field_invalid("involvedObject.namespace", of, "does not match event.namespace")
    if not obj.get("eventTime"):
        if namespace != of if of else namespace not in ("", "default"):
            out.append(stranger)
        return out
    if not of and namespace not in ("default", "kube-system"):
        out.append(stranger)
    reporter = obj.get("reportingComponent") or ""
    if not reporter:
        out.append(errors.field_required(controller))
    out += validation.check(controller, reporter, names.qualified(reporter))
    for field in ("reportingInstance", "action", "reason"):
        if not obj.get(field):
            out.append(errors.field_required(field))
        elif len(obj[field].encode()) > 128:
            out.append(errors.field_invalid(field, "", "can have at most 128 bytes"))
    if len((obj.get("message") or "").encode()) > 1024:
        out.append(errors.field_invalid("message", "", "can have at most 1024 bytes"))
    return out


def _last_seen(obj: Object) -> Age | str:
    series = obj.get("series")
    if series is not None:
        return columns.since(series.get("lastObservedTime"))
    return columns.since(obj.get("lastTimestamp")) if obj.get("lastTimestamp") else _first_seen(obj)


def _first_seen(obj: Object) -> Age | str:
    return columns.since(obj.get("firstTimestamp") or obj.get("eventTime"))


def _object(obj: Object, now: float) -> str:
    involved = obj.get("involvedObject") or {}
    kind, name = (involved.get("kind") or "").lower(), involved.get("name") or ""
    return f"{kind}/{name}" if name else kind


def _source(obj: Object, now: float) -> str:
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _count(obj: Object, now: float) -> int:
    return dig(obj, "series", "count") or obj.get("count") or 1


ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def about(field: str):
    return lambda obj: dig(obj, "involvedObject", field) or ""


RESOURCE = Resource(
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.core.v1.Event",
    registry="events",
    has_generation=False,
    create_on_update=True,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.aging("Last Seen", _last_seen, description=".lastTimestamp"),
        Column("Type", columns.at("type"), description=".type"),
        Column("Reason", columns.at("reason"), description=".reason"),
        Column("Object", _object, description=".involvedObject"),
        Column("Subobject", columns.at("involvedObject", "fieldPath"), priority=1,
               description=".involvedObject.fieldPath"),
        Column("Source", _source, priority=1, description=".source"),
        Column("Message", lambda obj, now: (obj.get("message") or "").strip(), description=".message"),
        columns.aging("First Seen", _first_seen, priority=1, description=".firstTimestamp"),
        Column("Count", _count, priority=1, description=".count"),
        Column("Name", lambda obj, now: obj["metadata"].get("name", ""), format="name", priority=1,
               description=".metadata.name"),
    ),
    selectable={
        **{f"involvedObject.{field}": about(field) for field in ABOUT},
        "reason": lambda obj: obj.get("reason") or "",
        "reportingComponent": lambda obj: obj.get("reportingComponent") or "",
        "source": lambda obj: dig(obj, "source", "component") or obj.get("reportingComponent") or "",
        "type": lambda obj: obj.get("type") or "",
    },
)
