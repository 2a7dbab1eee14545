"""poddisruptionbudgets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, condition_rules, errors, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        out.append(errors.field_invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for field, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            out += validation.non_negative_or_percent(value, f"spec.{field}")
            out += validation.at_most_100_percent(value, f"spec.{field}")
    out += validation.validate_selector(spec.get("selector"), "spec.selector")
    return out + validation.one_of(spec.get("unhealthyPodEvictionPolicy"), ("AlwaysAllow", "IfHealthyBudget"),
                                   "spec.unhealthyPodEvictionPolicy", required=False)


def validate_status(new: Object, old: Object) -> list[errors.FieldError]:
    status = new.get("status") or {}
    out = condition_rules.validate(status.get("conditions") or (), "status.conditions")
    return out + [f for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
                  for f in validation.non_negative(status.get(field), f"status.{field}")]


def _shown(field: str):
    def cell(obj: Object, now: float) -> str:
        value = dig(obj, "spec", field)
        return "N/A" if value is None else str(value)

    return cell


RESOURCE = Resource(
    group="policy",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    short_names=("pdb",),
    definition="io.k8s.api.policy.v1.PodDisruptionBudget",
    registry="poddisruptionbudgets",
    subresources=(subresources.status("PodDisruptionBudget", validate=validate_status),),
    prepare_create=prepare_create,
    unconditional_update=False,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(
        columns.NAME,
        Column("Min Available", _shown("minAvailable"),
               description="The minimum number of pods that must be available."),
        Column("Max Unavailable", _shown("maxUnavailable"),
               description="The maximum number of pods that may be unavailable."),
        Column("Allowed Disruptions", columns.number("status", "disruptionsAllowed"), type="integer",
               description="Calculated number of pods that may be disrupted at this time."),
        columns.AGE,
    ),
)
