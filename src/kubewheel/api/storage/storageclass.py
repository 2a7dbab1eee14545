"""storageclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    registry="storageclasses",
    has_generation=False,
)
