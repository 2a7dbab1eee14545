"""podcertificaterequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, conditions, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def _state(obj: Object, now: float) -> str:
    for word in ("Issued", "Denied", "Failed"):
        if conditions.find(obj, word) is not None:
            return word
    return "Pending"


RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="PodCertificateRequest",
    plural="podcertificaterequests",
    definition="io.k8s.api.certificates.v1.PodCertificateRequest",
    registry="podcertificaterequests",
    subresources=(subresources.status("PodCertificateRequest"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    validate_update=lambda new, old: validation.immutable(new.get("spec"), old.get("spec"), "spec"),
    columns=(
        columns.NAME,
        Column("PodName", columns.at("spec", "podName"), description=".spec.podName"),
        Column("ServiceAccountName", columns.at("spec", "serviceAccountName"), description=".spec.serviceAccountName"),
        Column("NodeName", columns.at("spec", "nodeName"), description=".spec.nodeName"),
        Column("SignerName", columns.at("spec", "signerName"), description=".spec.signerName"),
        Column("State", _state, description=".status.conditions"),
        columns.AGE,
    ),
    selectable={"spec.signerName": lambda obj: dig(obj, "spec", "signerName") or "",
                "spec.podName": lambda obj: dig(obj, "spec", "podName") or "",
                "spec.nodeName": lambda obj: dig(obj, "spec", "nodeName") or ""},
)
