"""persistentvolumeclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, quantity, subresources, validation
from kubewheel.api.apps import workload
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
UPDATE_TEXT = ("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
               "claims")


def short_modes(modes: list[str] | None) -> str:
    have = set(modes or ())
    return ",".join(short for mode, short in SHORT.items() if mode in have)


def defaults(obj: Object) -> None:
    workload.default(workload.spec_of(obj), volumeMode="Filesystem")
    if (status := obj.get("status")) is not None:
        workload.default(status, phase="Pending")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"phase": "Pending"}
    spec = obj["spec"]
    source = spec.get("dataSource")
    if source and not spec.get("dataSourceRef"):
        spec["dataSourceRef"] = dict(source)
    elif spec.get("dataSourceRef") and not source and not spec["dataSourceRef"].get("namespace"):
        spec["dataSource"] = {k: v for k, v in spec["dataSourceRef"].items() if k != "namespace"}


def validate(obj: Object) -> list[errors.FieldError]:
    return spec_rules(obj.get("spec") or {}, "spec")


def spec_rules(spec: Object, path: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    modes = spec.get("accessModes") or ()
    if not modes:
        out.append(errors.field_required(f"{path}.accessModes", "at least 1 access mode is required"))
    for mode in modes:
        if mode not in MODES:
            out.append(errors.field_not_supported(f"{path}.accessModes", mode, MODES))
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        out.append(errors.field_forbidden(f"{path}.accessModes",
                                          "may not use ReadWriteOncePod with other access modes"))
    out += validation.validate_selector(spec.get("selector"), f"{path}.selector")
    size = dig(spec, "resources", "requests", "storage")
    where = f"{path}.resources[storage]"
    if size is None:
        out.append(errors.field_required(where))
    elif not quantity.is_valid(size) or quantity.nano(size) <= 0:
        out.append(errors.field_invalid(where, size, "must be greater than zero"))
    name = spec.get("storageClassName")
    if name:
        out += validation.check(f"{path}.storageClassName", name, names.subdomain(name))
    return out + validation.one_of(spec.get("volumeMode"), ("Block", "Filesystem"), f"{path}.volumeMode",
                                   required=False)


def template_rules(template: Object, path: str) -> list[errors.FieldError]:
    """A claim inside a volume."""
    meta = template.get("metadata") or {}
    out = validation.validate_labels(meta.get("labels") or {}, f"{path}.metadata.labels")
    out += validation.validate_annotations(meta.get("annotations") or {}, f"{path}.metadata.annotations")
    out += [errors.field_forbidden(f"{path}.metadata.{field}", "cannot be set for an ephemeral volume")
            for field in ("name", "generateName", "namespace", "finalizers", "ownerReferences") if meta.get(field)]
    return out + spec_rules(template.get("spec") or {}, f"{path}.spec")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    spec, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    if not before.get("volumeName") and spec.get("volumeName"):
        before["volumeName"] = spec["volumeName"]
    if before.get("storageClassName") is None and spec.get("storageClassName") is not None:
        before["storageClassName"] = spec["storageClassName"]  # a default given later
    size, had = dig(spec, "resources", "requests", "storage"), dig(before, "resources", "requests", "storage")
    if dig(old, "status", "phase") == "Bound":
        spec["resources"] = before.get("resources")
        if "volumeAttributesClassName" in spec:
            before["volumeAttributesClassName"] = spec["volumeAttributesClassName"]
    if spec != before:
        out.append(errors.field_forbidden("spec", UPDATE_TEXT))
    elif size is not None and had is not None and quantity.is_valid(size) and quantity.compare(size, had) < 0:
        if quantity.compare(size, dig(old, "status", "capacity", "storage") or "0") <= 0:
            out.append(errors.field_forbidden("spec.resources.requests.storage", (
                "field can not be less than status.capacity")))
    return out


def _status(obj: Object, now: float) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else dig(obj, "status", "phase") or ""


def _bound(*path: str):
    return lambda obj, now: (dig(obj, *path) or "") if dig(obj, "spec", "volumeName") else ""


RESOURCE = Resource(
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    registry="persistentvolumeclaims",
    subresources=(subresources.status("PersistentVolumeClaim"),),
    has_generation=False,
    prepare_create=prepare_create,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Status", _status, description=".status.phase"),
        Column("Volume", columns.at("spec", "volumeName"), description=".spec.volumeName"),
        Column("Capacity", _bound("status", "capacity", "storage"), description=".status.capacity"),
        Column("Access Modes", lambda obj, now: short_modes(dig(obj, "status", "accessModes")) if dig(
            obj, "spec", "volumeName") else "", description=".status.accessModes"),
        Column("StorageClass", lambda obj, now: (obj["metadata"].get("annotations") or {}).get(
            "volume.beta.kubernetes.io/storage-class") or dig(obj, "spec", "storageClassName") or "",
            description=".spec.storageClassName"),
        Column("VolumeAttributesClass", lambda obj, now: dig(obj, "spec", "volumeAttributesClassName") or columns.UNSET,
               description=".spec.volumeAttributesClassName"),
        columns.AGE,
        Column("VolumeMode", columns.at("spec", "volumeMode", default=columns.UNSET), priority=1,
               description=".spec.volumeMode"),
    ),
    selectable={"name": lambda obj: obj["metadata"].get("name", "")},
)
