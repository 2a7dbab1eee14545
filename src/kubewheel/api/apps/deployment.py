"""deployments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, fill, subresources, validation
from kubewheel.api.core import workload
from kubewheel.api.errors import FieldError, field_forbidden, field_invalid, field_not_supported, field_required
from kubewheel.api.resource import Object, Resource, ScalePaths


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    workload.rolling_update(spec, "strategy", maxUnavailable="25%", maxSurge="25%")
    workload.template_defaults(spec)


def validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    out = workload.numbers(spec, "replicas")
    out += workload.replica_template(spec, old and old.get("spec"))
    out += _strategy(spec.get("strategy") or {})
    out += workload.numbers(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        out.append(field_invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"))
    return out


def _strategy(strategy: Object) -> list[FieldError]:
    path, kind, rolling = "spec.strategy", strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            return [field_forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        return []
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": None if rolling is None else {
            "MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}}
        return [field_not_supported(path, shown, ("Recreate", "RollingUpdate"))]
    if rolling is None:
        return [field_required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    out = validation.non_negative_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
    out += validation.non_negative_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    if workload.is_zero(unavailable) and workload.is_zero(surge):
        out.append(field_invalid(f"{path}.rollingUpdate.maxUnavailable", unavailable,
                                 "may not be 0 when `maxSurge` is 0"))
    return out + validation.at_most_100_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")


RESOURCE = Resource(
    group="apps",
    kind="Deployment",
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment",
    registry="deployments",
    subresources=(
        subresources.status("Deployment", validate=workload.status_rules(
            "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
            "unavailableReplicas", "collisionCount")),
        subresources.SCALE,
    ),
    scale=ScalePaths(),
    defaults=defaults,
    prepare_create=subresources.empty_status,
    validate=validate,
    validate_update=lambda new, old: validate(new, old) + workload.immutable_selector(new, old),
    warnings=workload.template_warnings,
    create_warnings=workload.name_warnings,
    columns=(
        columns.NAME,
        workload.READY,
        workload.count("Up-to-date", "status", "updatedReplicas"),
        workload.count("Available", "status", "availableReplicas"),
        columns.AGE,
        *columns.template("spec", "template", "spec"),
        columns.selector("spec", "selector"),
    ),
)
