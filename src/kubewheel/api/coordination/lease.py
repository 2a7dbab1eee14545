"""leases.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, shape
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    """spec is a struct; strategy and preferredHolder wait for CoordinatedLeaderElection, which is off by default."""
    spec = shape.struct(obj, "spec")
    for field in ("strategy", "preferredHolder"):
        spec.pop(field, None)


def validate(obj: Object) -> list[errors.FieldError]:
    """An empty holderIdentity is how a leader gives its lease up."""
    spec = obj.get("spec") or {}
    out: list[errors.FieldError] = []
    if (seconds := spec.get("leaseDurationSeconds")) is not None and seconds <= 0:
        out.append(errors.field_invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if (turns := spec.get("leaseTransitions")) is not None and turns < 0:
        out.append(errors.field_invalid("spec.leaseTransitions", turns, "must be greater than or equal to 0"))
    return out


RESOURCE = Resource(
    group="coordination.k8s.io",
    kind="Lease",
    plural="leases",
    definition="io.k8s.api.coordination.v1.Lease",
    registry="leases",
    has_generation=False,
    create_on_update=True,
    unconditional_update=False,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(columns.NAME, Column("Holder", columns.at("spec", "holderIdentity"), description=".spec.holderIdentity"),
             columns.AGE),
)
