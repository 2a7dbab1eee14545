"""ingressclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="networking.k8s.io",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    definition="io.k8s.api.networking.v1.IngressClass",
    registry="ingressclasses",
)
