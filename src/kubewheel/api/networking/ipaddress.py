"""ipaddresses: one Service address in use.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def _parent(obj: Object, now: float) -> str:
    ref = dig(obj, "spec", "parentRef") or {}
    return "/".join(filter(None, (ref.get("resource"), ref.get("namespace"), ref.get("name"))))


def validate(obj: Object) -> list[errors.FieldError]:
    ref = dig(obj, "spec", "parentRef")
    if ref is None:
        return [errors.field_required("spec.parentRef")]
    return [errors.field_required(f"spec.parentRef.{f}") for f in ("resource", "name") if not ref.get(f)]


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validation.immutable(dig(new, "spec", "parentRef"), dig(old, "spec", "parentRef"), "spec.parentRef")


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    registry="ipaddresses",
    has_generation=False,
    name_rule="ip",
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("ParentRef", _parent, description=".spec.parentRef"), columns.AGE),
)
