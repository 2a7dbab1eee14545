"""persistentvolumes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, quantity, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.core import persistentvolumeclaim, scheduling_validation
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

_NOT_SOURCES = ("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
                "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode")


def sources(spec: Object) -> list[str]:
    return [k for k, v in spec.items() if k not in _NOT_SOURCES and v is not None]


def defaults(obj: Object) -> None:
    spec = workload.spec_of(obj)
    workload.default(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if (host := spec.get("hostPath")) is not None:
        workload.default(host, type="")
    if (status := obj.get("status")) is not None:
        workload.default(status, phase="Pending")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"phase": "Pending"}


def validate(obj: Object) -> list[errors.FieldError]:
    spec, out = obj.get("spec") or {}, []
    modes = spec.get("accessModes") or ()
    if not modes:
        out.append(errors.field_required("spec.accessModes"))
    for mode in modes:
        if mode not in persistentvolumeclaim.MODES:
            out.append(errors.field_not_supported("spec.accessModes", mode, persistentvolumeclaim.MODES))
    capacity = spec.get("capacity") or {}
    if not capacity:
        out.append(errors.field_required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        out.append(errors.field_not_supported("spec.capacity", capacity, ("storage",)))
    for name, amount in capacity.items():
        if not quantity.is_valid(amount) or quantity.nano(amount) <= 0:
            out.append(errors.field_invalid(f"spec.capacity[{name}]", amount, "must be greater than zero"))
    out += validation.one_of(spec.get("persistentVolumeReclaimPolicy"), ("Delete", "Recycle", "Retain"),
                             "spec.persistentVolumeReclaimPolicy")
    required = dig(spec, "nodeAffinity", "required")
    if required is not None:
        out += scheduling_validation.node_selector(required, "spec.nodeAffinity.required")
    have = sources(spec)
    if not have:
        out.append(errors.field_required("spec", "must specify a volume type"))
    out += [errors.field_forbidden(f"spec.{extra}", "may not specify more than 1 volume type") for extra in have[1:]]
    if spec.get("local") is not None and required is None:
        out.append(errors.field_required("spec.nodeAffinity", "Local volume requires node affinity"))
    return out + validation.one_of(spec.get("volumeMode"), ("Block", "Filesystem"), "spec.volumeMode", required=False)


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for source in {*sources(spec), *sources(before)}:
        if spec.get(source) != before.get(source):
            out.append(errors.field_forbidden("spec.persistentvolumesource",
                                              "spec.persistentvolumesource is immutable after creation"))
            break
    return out + validation.immutable(spec.get("volumeMode"), before.get("volumeMode"), "spec.volumeMode")


def _status(obj: Object, now: float) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else dig(obj, "status", "phase") or ""


def _claim(obj: Object, now: float) -> str:
    ref = dig(obj, "spec", "claimRef")
    return f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""


RESOURCE = Resource(
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    definition="io.k8s.api.core.v1.PersistentVolume",
    registry="persistentvolumes",
    subresources=(subresources.status("PersistentVolume"),),
    has_generation=False,
    prepare_create=prepare_create,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Capacity", columns.at("spec", "capacity", "storage"), description=".spec.capacity"),
        Column("Access Modes", lambda obj, now: persistentvolumeclaim.short_modes(dig(obj, "spec", "accessModes")),
               description=".spec.accessModes"),
        Column("Reclaim Policy", columns.at("spec", "persistentVolumeReclaimPolicy"),
               description=".spec.persistentVolumeReclaimPolicy"),
        Column("Status", _status, description=".status.phase"),
        Column("Claim", _claim, description=".spec.claimRef"),
        Column("StorageClass", columns.at("spec", "storageClassName"), description=".spec.storageClassName"),
        Column("VolumeAttributesClass", lambda obj, now: dig(obj, "spec", "volumeAttributesClassName") or columns.UNSET,
               description=".spec.volumeAttributesClassName"),
        Column("Reason", columns.at("status", "reason"), description=".status.reason"),
        columns.AGE,
        Column("VolumeMode", columns.at("spec", "volumeMode", default=columns.UNSET), priority=1,
               description=".spec.volumeMode"),
    ),
    selectable={"name": lambda obj: obj["metadata"].get("name", "")},
)
