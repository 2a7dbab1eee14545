"""ingresses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="networking.k8s.io",
    kind="Ingress",
    plural="ingresses",
    short_names=("ing",),
    definition="io.k8s.api.networking.v1.Ingress",
    registry="ingress",
    subresources=(subresources.status("Ingress"),),
    prepare_create=subresources.drop_status,
)
