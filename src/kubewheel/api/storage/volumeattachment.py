"""volumeattachments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, shape, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import persistentvolume
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource
from kubewheel.api.storage import drivers


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec", "source")
    shape.struct(obj, "status").setdefault("attached", False)


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    attacher, node, source = spec.get("attacher") or "", spec.get("nodeName") or "", spec.get("source") or {}
    out = [] if attacher else [errors.field_required("spec.attacher")]
    out += _source(source)
    out += validation.check("spec.nodeName", node, names.subdomain(node))
    out += drivers.name(attacher, "spec.attacher")
    if (volume := source.get("persistentVolumeName")) is not None:
        out += validation.check("spec.source.persistentVolumeName", volume, names.subdomain(volume))
    return out + validate_status(obj, obj)


MAX_METADATA, MAX_MESSAGE = 256 * 1024, 1024


def validate_status(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    metadata = dig(new, "status", "attachmentMetadata") or {}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_METADATA:
        out.append(errors.field_too_long("status.attachmentMetadata", MAX_METADATA))
    for field in ("attachError", "detachError"):
        code, message = dig(new, "status", field, "errorCode"), dig(new, "status", field, "message") or ""
        if len(message.encode()) > MAX_MESSAGE:  # upstream tells another bound
            out.append(errors.field_too_long(f"status.{field}.message", MAX_METADATA))
        if code is not None and code < 0:
            out.append(errors.field_invalid(f"status.{field}.errorCode", code,
                                            "must be between 0 and 2147483647, inclusive"))
    return out


def _source(source: Object) -> list[FieldError]:
    one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        return [errors.field_required("spec.source", one)]
    if name is not None and inline is not None:
        return [errors.field_forbidden("spec.source", one)]
    if name == "":
        return [errors.field_required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName")]
    return [] if inline is None else persistentvolume.spec_rules(inline, "spec.source.inlineVolumeSpec", inline=True)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    if new.get("spec") != old.get("spec"):
        spec = new["spec"]
        shown = {"Attacher": spec.get("attacher") or "", "Source": {
            "PersistentVolumeName": spec["source"].get("persistentVolumeName"),
            "InlineVolumeSpec": spec["source"].get("inlineVolumeSpec")}, "NodeName": spec.get("nodeName") or ""}
        out.append(errors.field_invalid("spec", shown, validation.IMMUTABLE))
    return out


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    registry="volumeattachments",
    subresources=(subresources.status("VolumeAttachment", validate=validate_status),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    defaults=defaults,
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
