"""priorityclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.resource import Column, Object, Resource

HIGHEST_USER = 1_000_000_000
SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def defaults(obj: Object) -> None:
    if obj.get("preemptionPolicy") is None:
        obj["preemptionPolicy"] = "PreemptLowerPriority"


def validate(obj: Object) -> list[errors.FieldError]:
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        if SYSTEM.get(name) != value or name not in SYSTEM:
            return [errors.field_forbidden("metadata.name", "priority class names with 'system-' prefix are reserved "
                                           "for system use only. error: "
                                           + (f"value of {name} PriorityClass must be {SYSTEM[name]}" if name in SYSTEM
                                              else f"{name} is not a known system priority class"))]
    elif value > HIGHEST_USER:
        return [errors.field_forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER}")]
    return validation.one_of(obj.get("preemptionPolicy"), ("Never", "PreemptLowerPriority"), "preemptionPolicy",
                             required=False)


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        out.append(errors.field_forbidden("value", "may not be changed in an update."))
    return out + validation.immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")


RESOURCE = Resource(
    group="scheduling.k8s.io",
    kind="PriorityClass",
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    definition="io.k8s.api.scheduling.v1.PriorityClass",
    registry="priorityclasses",
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Value", columns.number("value"), type="integer", description=".value"),
        Column("Global-Default", lambda obj, now: bool(obj.get("globalDefault")), type="boolean",
               description=".globalDefault"),
        columns.AGE,
        Column("PreemptionPolicy", columns.at("preemptionPolicy"), description=".preemptionPolicy"),
    ),
)
