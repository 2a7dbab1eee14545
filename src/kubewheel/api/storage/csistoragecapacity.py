"""csistoragecapacities.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    if not obj.get("storageClassName"):
        return [errors.field_required("storageClassName")]
    return validation.validate_selector(obj.get("nodeTopology"), "nodeTopology")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    for field in ("nodeTopology", "storageClassName"):
        out += validation.immutable(new.get(field), old.get(field), field)
    return out


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
    registry="csistoragecapacities",
    has_generation=False,
    unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("StorageClassName", columns.at("storageClassName"), description=".storageClassName"),
        Column("Capacity", columns.at("capacity", default=columns.UNSET), description=".capacity"),
    ),
)
