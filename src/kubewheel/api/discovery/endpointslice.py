"""endpointslices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="discovery.k8s.io",
    kind="EndpointSlice",
    plural="endpointslices",
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    registry="endpointslices",
)
