"""resourceclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.dra import claim_status, requests
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    requests.defaults(shape.struct(obj, "spec"))
    shape.struct(obj, "status")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validation.immutable(new.get("spec"), old.get("spec"), "spec")


def _state(obj: Object, now: float) -> str:
    states = []
    if obj["metadata"].get("deletionTimestamp"):
        states.append("deleted")
    if dig(obj, "status", "allocation") is None:
        return ",".join([*states, "pending"]) if not states else ",".join(states)
    states.append("allocated")
    if dig(obj, "status", "reservedFor"):
        states.append("reserved")
    return ",".join(states)


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaim",
    plural="resourceclaims",
    definition="io.k8s.api.resource.v1.ResourceClaim",
    registry="resourceclaims",
    subresources=(subresources.status("ResourceClaim", validate=claim_status.validate),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate=lambda obj: requests.validate(obj.get("spec") or {}, "spec"),
    validate_update=validate_update,
    columns=(columns.NAME, Column("State", _state,
                                  description="A summary of the current state (allocated, pending, reserved, etc.)."),
             columns.AGE),
)
