"""deployments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError, field_forbidden, field_invalid, field_required
from kubewheel.api.resource import Column, Object, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    workload.default(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.get("strategy")
    if strategy is None:
        strategy = spec["strategy"] = {}
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        if strategy.get("rollingUpdate") is None:
            strategy["rollingUpdate"] = {}
        workload.default(strategy["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    workload.template_defaults(spec)


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = workload.numbers(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    out += workload.selector_and_template(spec)
    out += _strategy(spec.get("strategy") or {})
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        out += validation.non_negative(deadline, "spec.progressDeadlineSeconds")
        if deadline <= (spec.get("minReadySeconds") or 0):
            out.append(field_invalid("spec.progressDeadlineSeconds", deadline,
                                     "must be greater than minReadySeconds"))
    return out


def _strategy(strategy: Object) -> list[FieldError]:
    path, kind, rolling = "spec.strategy", strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            return [field_forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        return []
    if kind != "RollingUpdate":
        return validation.one_of(kind, ("Recreate", "RollingUpdate"), f"{path}.type")
    if rolling is None:
        return [field_required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    out = workload.int_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
    out += validation.non_negative_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    return out + workload.rolling_zero(unavailable, surge, f"{path}.rollingUpdate.maxUnavailable")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new) + validation.immutable(
        dig(new, "spec", "selector"), dig(old, "spec", "selector"), "spec.selector")


def _ready(obj: Object, now: float) -> str:
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{dig(obj, 'spec', 'replicas') or 0}"


RESOURCE = Resource(
    group="apps",
    kind="Deployment",
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment",
    registry="deployments",
    subresources=(
        subresources.status("Deployment", validate=workload.status_numbers(
            "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
            "unavailableReplicas", "collisionCount")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=validate_update,
    warnings=workload.template_warnings,
    columns=(
        columns.NAME,
        Column("Ready", _ready, description="Number of the pod with ready state"),
        Column("Up-to-date", columns.number("status", "updatedReplicas"), type="integer",
               description=".status.updatedReplicas"),
        Column("Available", columns.number("status", "availableReplicas"), type="integer",
               description=".status.availableReplicas"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
)
