"""resourceclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    request_defaults(obj.get("spec"))


def request_defaults(spec: Object | None) -> None:
    for request in dig(spec, "devices", "requests") or ():
        parts = [p for p in (request.get("exactly"),) if p] + list(request.get("firstAvailable") or ())
        for part in parts:
            if not part.get("allocationMode"):
                part["allocationMode"] = "ExactCount"
            if part["allocationMode"] == "ExactCount" and not part.get("count"):
                part["count"] = 1
            for toleration in part.get("tolerations") or ():
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"


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
    subresources=(subresources.status("ResourceClaim"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    defaults=defaults,
    validate_update=validate_update,
    columns=(columns.NAME, Column("State", _state,
                                  description="A summary of the current state (allocated, pending, reserved, etc.)."),
             columns.AGE),
)
