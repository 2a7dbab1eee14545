"""servicecidrs: the ranges Service addresses are taken from.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import addresses, columns, errors, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")
    shape.struct(obj, "status")


def validate(obj: Object) -> list[FieldError]:
    every = dig(obj, "spec", "cidrs") or []
    if not every:
        return [errors.field_required("spec.cidrs", "at least one CIDR required")]
    if len(every) > 2:
        return [errors.field_invalid("spec.cidrs", {"CIDRs": every}, "may only hold up to 2 values")]
    if len(every) == 2:
        families = {parsed[0].version for text in every if (parsed := addresses.parse_cidr(text)) is not None}
        if families != {4, 6}:
            return [errors.field_invalid("spec.cidrs", {"CIDRs": every}, (
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))]
    return [f for i, text in enumerate(every)
            for f in validation.check(f"spec.cidrs[{i}]", text, addresses.cidr(text))]


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """Only a second family may be added."""
    now, was = dig(new, "spec", "cidrs") or [], dig(old, "spec", "cidrs") or []
    if len(now) == len(was):
        return [errors.field_invalid(f"spec.cidrs[{i}]", text, validation.IMMUTABLE)
                for i, text in enumerate(now) if text != was[i]]
    if len(was) == 1 and len(now) == 2:
        if now[0] != was[0]:
            return [errors.field_invalid("spec.cidrs[0]", now[0], validation.IMMUTABLE)]
        return validate(new)
    return [errors.field_invalid("spec.cidrs", now, validation.IMMUTABLE)]


RESOURCE = Resource(
    group="networking.k8s.io",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    registry="servicecidrs",
    subresources=(subresources.status("ServiceCIDR"),),
    has_generation=False,
    defaults=defaults,
    prepare_create=subresources.drop_status,
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("CIDRs", lambda obj, now: ",".join(dig(obj, "spec", "cidrs") or ()),
                                  description=".spec.cidrs"), columns.AGE),
)
