"""csistoragecapacities.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
    registry="csistoragecapacities",
    has_generation=False,
    unconditional_update=False,
)
