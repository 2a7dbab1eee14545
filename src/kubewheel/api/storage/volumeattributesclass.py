"""volumeattributesclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource
from kubewheel.api.storage import drivers


def validate(obj: Object) -> list[FieldError]:
    out = drivers.provisioner(obj.get("driverName") or "", "driverName")
    if not obj.get("parameters"):
        out.append(errors.field_required("parameters", "must contain at least one key/value pair"))
    return out + drivers.parameters(obj.get("parameters"), "parameters")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    if new.get("driverName") != old.get("driverName"):
        out.append(errors.field_forbidden("driverName", "updates to driverName are forbidden."))
    if new.get("parameters") != old.get("parameters"):
        out.append(errors.field_forbidden("parameters", "updates to parameters are forbidden."))
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
