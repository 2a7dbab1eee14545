"""clustertrustbundles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="certificates.k8s.io",
    kind="ClusterTrustBundle",
    plural="clustertrustbundles",
    namespaced=False,
    definition="io.k8s.api.certificates.v1.ClusterTrustBundle",
    registry="clustertrustbundles",
    has_generation=False,
    unconditional_update=False,
)
