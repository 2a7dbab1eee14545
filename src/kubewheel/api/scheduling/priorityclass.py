"""priorityclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource

HIGHEST_USER = 1_000_000_000
_POLICIES = ["PreemptLowerPriority", "Never"]
SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def defaults(obj: Object) -> None:
    obj.setdefault("value", 0)
    if obj.get("preemptionPolicy") is None:
        obj["preemptionPolicy"] = "PreemptLowerPriority"


def validate(obj: Object) -> list[FieldError]:
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    out: list[FieldError] = []
    if name.startswith("system-"):
        if why := _not_system(name, value, is_default=bool(obj.get("globalDefault"))):
            out.append(errors.field_forbidden("metadata.name", "priority class names with 'system-' prefix are "
                                              f"reserved for system use only. error: {why}"))
    elif value > HIGHEST_USER:
        out.append(errors.field_forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER}"))
    policy = obj.get("preemptionPolicy")
    if policy == "":
        out.append(errors.field_required("preemptionPolicy"))
    elif policy not in (None, *_POLICIES):
        out.append(errors.field_not_supported("preemptionPolicy", policy, _POLICIES, ordered=True))
    return out


def _not_system(name: str, value: int, *, is_default: bool) -> str:
    if name not in SYSTEM:
        return f"{name} is not a known system priority class"
    if value != SYSTEM[name]:
        return f"value of {name} PriorityClass must be {SYSTEM[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
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
    raises_generation=lambda new, old: False,  # 1 from the beginning, and nothing raises it
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
