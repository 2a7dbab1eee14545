"""storageclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, validation
from kubewheel.api.resource import Column, Object, Resource

DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BETA = "storageclass.beta.kubernetes.io/is-default-class"


def defaults(obj: Object) -> None:
    if obj.get("reclaimPolicy") is None:
        obj["reclaimPolicy"] = "Delete"
    if obj.get("volumeBindingMode") is None:
        obj["volumeBindingMode"] = "Immediate"


def is_default(obj: Object) -> bool:
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(DEFAULT) == "true" or annotations.get(_BETA) == "true"


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    if not obj.get("provisioner"):
        out.append(errors.field_required("provisioner"))
    out += validation.one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), "reclaimPolicy", required=False)
    return out + validation.one_of(obj.get("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"),
                                   "volumeBindingMode")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    for field, value in (("parameters", "updates to parameters are forbidden."),
                         ("provisioner", "updates to provisioner are forbidden."),
                         ("reclaimPolicy", "updates to reclaimPolicy are forbidden.")):
        if new.get(field) != old.get(field):
            out.append(errors.field_forbidden(field, value))
    return out + validation.immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode")


def _name(obj: Object, now: float) -> str:
    return obj["metadata"].get("name", "") + (" (default)" if is_default(obj) else "")


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    registry="storageclasses",
    has_generation=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        Column("Name", _name, format="name", description=".metadata.name"),
        Column("Provisioner", columns.at("provisioner"), description=".provisioner"),
        Column("ReclaimPolicy", columns.at("reclaimPolicy", default="Delete"), description=".reclaimPolicy"),
        Column("VolumeBindingMode", columns.at("volumeBindingMode", default="Immediate"),
               description=".volumeBindingMode"),
        Column("AllowVolumeExpansion", lambda obj, now: bool(obj.get("allowVolumeExpansion")),
               description=".allowVolumeExpansion"),
        columns.AGE,
    ),
)
