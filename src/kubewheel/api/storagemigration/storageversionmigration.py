"""storageversionmigrations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec", "resource")
    shape.struct(obj, "status")


def validate(obj: Object) -> list[FieldError]:
    if not dig(obj, "spec", "resource", "resource"):
        return [errors.field_required("spec.resource.resource", "resource is required")]
    return []


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """What is migrated stays. Upstream names the fields without the way to them."""
    out = validate(new)
    for field in ("group", "resource"):
        out += validation.immutable(dig(new, "spec", "resource", field) or "",
                                    dig(old, "spec", "resource", field) or "", field)
    return out


def _resource(obj: Object, now: float) -> str:
    resource = dig(obj, "spec", "resource") or {}
    return errors.qualified(resource.get("resource") or "", resource.get("group") or "")


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
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        Column("Name", columns.NAME.cell, description=columns.NAME.description),  # upstream gives it no format
        Column("Resource", _resource, description="Fully qualified resource to migrate"),
    ),
)
