"""resourcequotas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, quantity, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {}
    obj.setdefault("spec", {})


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    for name, amount in (dig(obj, "spec", "hard") or {}).items():
        where = f"spec.hard[{name}]"
        out += validation.validate_quantity(amount, where)
        if "." not in name and "/" not in name and quantity.is_valid(amount) and name in _COUNTS and (
                quantity.nano(amount) % quantity.NANO):
            out.append(errors.field_invalid(where, amount, "must be an integer"))
    return out


_COUNTS = ("pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
           "persistentvolumeclaims")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    scopes = sorted(dig(new, "spec", "scopes") or ())
    return validate(new) + validation.immutable(scopes, sorted(dig(old, "spec", "scopes") or ()), "spec.scopes")


def _uses(obj: Object, wanted: bool) -> str:
    hard, used = dig(obj, "status", "hard") or {}, dig(obj, "status", "used") or {}
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)
                     if (not name.startswith("limits.")) is wanted)


RESOURCE = Resource(
    kind="ResourceQuota",
    plural="resourcequotas",
    short_names=("quota",),
    definition="io.k8s.api.core.v1.ResourceQuota",
    registry="resourcequotas",
    subresources=(subresources.status("ResourceQuota"),),
    has_generation=False,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Request", lambda obj, now: _uses(obj, True), description=(
            "Request represents a minimum amount of cpu/memory that a container may consume.")),
        Column("Limit", lambda obj, now: _uses(obj, False), description=(
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the "
            "node.")),
        columns.AGE,
    ),
)
