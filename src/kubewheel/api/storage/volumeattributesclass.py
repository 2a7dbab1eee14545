"""volumeattributesclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    return [] if obj.get("driverName") else [errors.field_required("driverName")]


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    for field in ("driverName", "parameters"):
        out += validation.immutable(new.get(field), old.get(field), field)
    return out


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    definition="io.k8s.api.storage.v1.VolumeAttributesClass",
    registry="volumeattributesclasses",
    has_generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(columns.NAME, Column("DriverName", columns.at("driverName"), description=".driverName"), columns.AGE),
)
