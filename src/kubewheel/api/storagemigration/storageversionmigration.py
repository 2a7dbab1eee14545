"""storageversionmigrations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources, validation
from kubewheel.api.resource import Column, Resource

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
    validate_update=lambda new, old: validation.immutable(new.get("spec"), old.get("spec"), "spec"),
    columns=(columns.NAME, Column("Resource", columns.at("spec", "resource", "resource"), description=".spec.resource"),
             columns.AGE),
)
