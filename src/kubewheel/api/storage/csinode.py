"""csinodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSINode",
    registry="csinodes",
    subresources=(subresources.status("CSINode"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
)
