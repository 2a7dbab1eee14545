"""daemonsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, fill, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import workload
from kubewheel.api.errors import FieldError, field_invalid, field_not_supported, field_required
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

# Upstream's internal type counts the templates; the v1 API shows that as an annotation.
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    workload.rolling_update(spec, "updateStrategy", maxUnavailable=1, maxSurge=0)
    fill.absent(spec, revisionHistoryLimit=10)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
                     "numberReady": 0}
    _count_templates(obj, 1)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    known = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "0")
    number = int(known) if known.isdecimal() else 0
    if dig(new, "spec", "template") != dig(old, "spec", "template"):
        number += 1
    _count_templates(new, number)


def _count_templates(obj: Object, number: int) -> None:
    notes = obj["metadata"].get("annotations")
    if notes is None:
        notes = obj["metadata"]["annotations"] = {}
    notes[TEMPLATE_GENERATION] = str(number)


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    template, given = spec.get("template") or {}, spec.get("selector")
    out = validation.validate_selector(given, "spec.selector")
    out += workload.selects_template(spec)
    if given is not None:
        out += workload.not_empty(given, "daemonset")
    out += workload.pod_template(spec, old and old.get("spec"))
    out += workload.always_restarted(template, "DaemonSet")
    out += workload.numbers(spec, "minReadySeconds")
    out += _strategy(spec.get("updateStrategy") or {})
    return out + workload.numbers(spec, "revisionHistoryLimit")


def _strategy(strategy: Object) -> list[FieldError]:
    path, kind, rolling = "spec.updateStrategy", strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": None if rolling is None else {
            "MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}}
        return [field_not_supported(path, shown, ("RollingUpdate", "OnDelete"), ordered=True)]
    path += ".rollingUpdate"
    if rolling is None:
        return [field_required(path)]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    out = validation.non_negative_or_percent(unavailable, f"{path}.maxUnavailable")
    out += validation.non_negative_or_percent(surge, f"{path}.maxSurge")
    out += validation.at_most_100_percent(unavailable, f"{path}.maxUnavailable")
    out += validation.at_most_100_percent(surge, f"{path}.maxSurge")
    if workload.is_zero(unavailable) and workload.is_zero(surge):
        out.append(field_required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    elif not workload.is_zero(unavailable) and not workload.is_zero(surge):
        out.append(field_invalid(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    return out


RESOURCE = Resource(
    group="apps",
    kind="DaemonSet",
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.DaemonSet",
    registry="daemonsets",
    subresources=(subresources.status("DaemonSet", validate=workload.status_rules(
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
        "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount")),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=lambda new, old: validate(new, old) + workload.immutable_selector(new, old),
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        workload.count("Desired", "status", "desiredNumberScheduled"),
        workload.count("Current", "status", "currentNumberScheduled"),
        workload.count("Ready", "status", "numberReady"),
        workload.count("Up-to-date", "status", "updatedNumberScheduled"),
        workload.count("Available", "status", "numberAvailable"),
        Column("Node Selector", lambda obj, now: columns.labels(
            dig(obj, "spec", "template", "spec", "nodeSelector")), description=".spec.template.spec.nodeSelector"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
)
