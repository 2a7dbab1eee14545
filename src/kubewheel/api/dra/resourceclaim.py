"""resourceclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaim",
    plural="resourceclaims",
    definition="io.k8s.api.resource.v1.ResourceClaim",
    registry="resourceclaims",
    subresources=(subresources.status("ResourceClaim"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
