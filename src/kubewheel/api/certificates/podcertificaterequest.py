"""podcertificaterequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

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
)
