"""certificatesigningrequests.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest",
    registry="certificatesigningrequests",
    subresources=(subresources.status("CertificateSigningRequest"), Subresource("approval", "CertificateSigningRequest", owns=(("status", "conditions"),)),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
