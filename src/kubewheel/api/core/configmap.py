"""configmaps.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.resource import Column, Object, Resource

MAX_SIZE = 1024 * 1024


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    size = 0
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for key, value in data.items():
        out += validation.check(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            out.append(errors.field_invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len((value or "").encode())
    for key, value in binary.items():
        out += validation.check(f"binaryData[{key}]", key, names.config_key(key))
        size += len(value or "") * 3 // 4
    if size > MAX_SIZE:
        out.append(errors.field_too_long("", MAX_SIZE))
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    if old.get("immutable"):
        if not new.get("immutable"):
            out.append(errors.field_forbidden("immutable", "field is immutable when `immutable` is set"))
        for field in ("data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                out.append(errors.field_forbidden(field, "field is immutable when `immutable` is set"))
    return out + validate(new)


RESOURCE = Resource(
    kind="ConfigMap",
    plural="configmaps",
    short_names=("cm",),
    definition="io.k8s.api.core.v1.ConfigMap",
    registry="configmaps",
    has_generation=False,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Data", lambda obj, now: len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
               description=".data"),
        columns.AGE,
    ),
)
