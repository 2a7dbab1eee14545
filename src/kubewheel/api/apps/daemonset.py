"""daemonsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError, field_invalid, field_required
from kubewheel.api.resource import Column, Object, PrepareContext, Resource


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    strategy = spec.get("updateStrategy")
    if strategy is None:
        strategy = spec["updateStrategy"] = {}
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        if strategy.get("rollingUpdate") is None:
            strategy["rollingUpdate"] = {}
        workload.default(strategy["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    workload.default(spec, revisionHistoryLimit=10)
    workload.template_defaults(spec)


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
                     "numberReady": 0}


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = workload.selector_and_template(spec, what="DaemonSet")
    out += workload.numbers(spec, "minReadySeconds", "revisionHistoryLimit")
    strategy, path = spec.get("updateStrategy") or {}, "spec.updateStrategy"
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            return [*out, field_required(f"{path}.rollingUpdate")]
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        out += workload.int_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
        out += workload.int_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
        zero = (0, "0%")
        if unavailable in zero and surge in zero:
            out.append(field_required(f"{path}.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0"))
        elif unavailable not in zero and surge not in zero:
            out.append(field_invalid(f"{path}.rollingUpdate.maxSurge", surge,
                                     "may not be set when maxUnavailable is non-zero"))
    else:
        out += validation.one_of(strategy.get("type"), ("OnDelete", "RollingUpdate"), f"{path}.type")
    return out


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new) + validation.immutable(
        dig(new, "spec", "selector"), dig(old, "spec", "selector"), "spec.selector")


def _count(name: str, field: str) -> Column:
    return Column(name, columns.number("status", field), type="integer", description=f".status.{field}")


RESOURCE = Resource(
    group="apps",
    kind="DaemonSet",
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.DaemonSet",
    registry="daemonsets",
    subresources=(subresources.status("DaemonSet", validate=workload.status_numbers(
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
        "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount")),),
    defaults=defaults,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        _count("Desired", "desiredNumberScheduled"),
        _count("Current", "currentNumberScheduled"),
        _count("Ready", "numberReady"),
        _count("Up-to-date", "updatedNumberScheduled"),
        _count("Available", "numberAvailable"),
        Column("Node Selector", lambda obj, now: columns.labels(
            dig(obj, "spec", "template", "spec", "nodeSelector")), description=".spec.template.spec.nodeSelector"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
)
