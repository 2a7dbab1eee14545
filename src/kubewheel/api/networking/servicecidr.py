"""servicecidrs: the ranges Service addresses are taken from.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    every = dig(obj, "spec", "cidrs") or ()
    if not every:
        return [errors.field_required("spec.cidrs", "at least one CIDR required")]
    if len(every) > 2:
        return [errors.field_too_many("spec.cidrs", len(every), 2)]
    return [f for i, text in enumerate(every) for f in validation.check(f"spec.cidrs[{i}]", text, names.cidr(text))]


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validation.immutable(dig(new, "spec", "cidrs"), dig(old, "spec", "cidrs"), "spec.cidrs")


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    registry="servicecidrs",
    subresources=(subresources.status("ServiceCIDR"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("CIDRs", lambda obj, now: ",".join(dig(obj, "spec", "cidrs") or ()),
                                  description=".spec.cidrs"), columns.AGE),
)
