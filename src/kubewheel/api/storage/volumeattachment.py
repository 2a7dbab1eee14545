"""volumeattachments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    out = [errors.field_required(f"spec.{f}") for f in ("attacher", "nodeName") if not spec.get(f)]
    source = spec.get("source") or {}
    have = [f for f in ("persistentVolumeName", "inlineVolumeSpec") if source.get(f)]
    if len(have) != 1:
        out.append(errors.field_required("spec.source", "must specify exactly one of inlineVolumeSpec and "
                                                        "persistentVolumeName"))
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validate(new) + validation.immutable(new.get("spec"), old.get("spec"), "spec")


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    registry="volumeattachments",
    subresources=(subresources.status("VolumeAttachment"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Attacher", columns.at("spec", "attacher"), format="name", description=".spec.attacher"),
        Column("PV", columns.at("spec", "source", "persistentVolumeName"),
               description=".spec.source.persistentVolumeName"),
        Column("Node", columns.at("spec", "nodeName"), description=".spec.nodeName"),
        Column("Attached", lambda obj, now: bool(dig(obj, "status", "attached")), type="boolean",
               description=".status.attached"),
        columns.AGE,
    ),
)
