"""storageversionmigrations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storagemigration.k8s.io",
    kind="StorageVersionMigration",
    plural="storageversionmigrations",
    namespaced=False,
    definition="io.k8s.api.storagemigration.v1.StorageVersionMigration",
    registry="storageversionmigrations",
    subresources=(subresources.status("StorageVersionMigration"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
)
