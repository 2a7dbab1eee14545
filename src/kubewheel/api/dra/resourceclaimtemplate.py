"""resourceclaimtemplates.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    definition="io.k8s.api.resource.v1.ResourceClaimTemplate",
    registry="resourceclaimtemplates",
    has_generation=False,
)
