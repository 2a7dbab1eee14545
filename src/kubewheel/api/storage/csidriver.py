"""csidrivers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSIDriver",
    registry="csidrivers",
    has_generation=False,
    unconditional_update=False,
)
