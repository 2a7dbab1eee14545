"""servicecidrs: the ranges Service addresses are taken from.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="networking.k8s.io",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    registry="servicecidrs",
    subresources=(subresources.status("ServiceCIDR"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
