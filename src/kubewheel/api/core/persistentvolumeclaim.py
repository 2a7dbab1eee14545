"""persistentvolumeclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import columns, differences, errors, fill, names, quantity, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import resource_validation, volume_warnings
from kubewheel.api.resource import Column, Object, PrepareContext, Resource

MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
UPDATE_TEXT = ("spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
               "claims")


def short_modes(modes: list[str] | None) -> str:
    have = set(modes or ())
    return ",".join(short for mode, short in SHORT.items() if mode in have)


def defaults(obj: Object) -> None:
    fill.absent(fill.spec_of(obj), volumeMode="Filesystem", resources={})
    if (status := obj.get("status")) is not None:
        fill.absent(status, phase="Pending")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"phase": "Pending"}
    spec = obj["spec"]
    _sources(spec)


def _sources(spec: Object) -> None:
    """The old field and the new one say the same."""
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not ref:
        spec["dataSourceRef"] = dict(source)
    elif ref and not source and not ref.get("namespace"):
        spec["dataSource"] = {k: v for k, v in ref.items() if k != "namespace"}


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    _sources(new["spec"])


def validate(obj: Object) -> list[errors.FieldError]:
    return spec_rules(obj.get("spec") or {}, "spec")


def positive(amount: Any, path: str) -> list[errors.FieldError]:
    if quantity.is_valid(amount) and quantity.nano(amount) > 0:
        return []
    shown = quantity.canonical(amount) if quantity.is_valid(amount) else amount
    return [errors.field_invalid(path, shown, "must be greater than zero")]


def not_negative(amount: Any, path: str) -> list[errors.FieldError]:
    if quantity.is_valid(amount) and quantity.nano(amount) < 0:
        return [errors.field_invalid(path, quantity.canonical(amount), "must be a valid resource quantity")]
    return []


def spec_rules(spec: Object, path: str, *, any_group: bool = False) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    modes = spec.get("accessModes") or ()
    if not modes:
        out.append(errors.field_required(f"{path}.accessModes", "at least 1 access mode is required"))
    out += validation.validate_selector(spec.get("selector"), f"{path}.selector")
    for mode in modes:
        if mode not in MODES:
            out.append(errors.field_not_supported(f"{path}.accessModes", mode, MODES))
    if "ReadWriteOncePod" in modes and set(modes) & (set(MODES) - {"ReadWriteOncePod"}):
        out.append(errors.field_forbidden(f"{path}.accessModes",
                                          "may not use ReadWriteOncePod with other access modes"))
    size, where = dig(spec, "resources", "requests", "storage"), f"{path}.resources[storage]"
    out += [errors.field_required(where)] if size is None else positive(size, where)
    if name := spec.get("storageClassName"):
        out += validation.check(f"{path}.storageClassName", name, names.subdomain(name))
    out += validation.one_of(spec.get("volumeMode"), ("Block", "Filesystem"), f"{path}.volumeMode", required=False)
    return out + _source_rules(spec, path, any_group=any_group)


def _source_rules(spec: Object, path: str, *, any_group: bool) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    for given, where in ((source, f"{path}.dataSource"), (ref, f"{path}.dataSourceRef")):
        if given is None:
            continue
        group, kind = given.get("apiGroup") or "", given.get("kind") or ""
        out += [errors.field_required(f"{where}.{field}") for field in ("name", "kind") if not given.get(field)]
        if not group and kind != "PersistentVolumeClaim":
            out.append(errors.field_invalid(where, kind,
                                            "must be 'PersistentVolumeClaim' when referencing the default apiGroup"))
        if group and not any_group:
            out += validation.check(f"{where}.apiGroup", group, names.subdomain(group))
        if namespace := given.get("namespace"):
            out += validation.check(f"{where}.namespace", namespace, names.label(namespace))
    if source is not None and ref is not None:
        shown = f"{path}.dataSource"
        if ref.get("namespace"):
            out.append(errors.field_invalid(path, shown,
                                            "may not be specified when dataSourceRef.namespace is specified"))
        elif any(source.get(k) != ref.get(k) for k in ("apiGroup", "kind", "name")):
            out.append(errors.field_invalid(path, shown, "must match dataSourceRef"))
    if attributes := spec.get("volumeAttributesClassName"):
        out += validation.check(f"{path}.volumeAttributesClassName", attributes, names.subdomain(attributes))
    return out


# All of ObjectMeta but labels and annotations, by the names and in the order of Go's fields.
_NOT_IN_TEMPLATES = ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation",
                     "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
                     "managedFields")


def template_rules(template: Object, path: str) -> list[errors.FieldError]:
    """A claim inside a volume."""
    meta = template.get("metadata") or {}
    out = validation.validate_annotations(meta.get("annotations") or {}, f"{path}.metadata.annotations")
    out += validation.validate_labels(meta.get("labels") or {}, f"{path}.metadata.labels")
    out += [errors.field_forbidden(f"{path}.metadata.{field}", "cannot be set") for field in _NOT_IN_TEMPLATES
            if meta.get(field)]
    return out + spec_rules(template.get("spec") or {}, f"{path}.spec")


_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    live, was = new.get("spec") or {}, old.get("spec") or {}
    keeps_group = any(dig(was, field, "apiGroup") is not None for field in ("dataSource", "dataSourceRef"))
    out = spec_rules(live, "spec", any_group=keeps_group)
    spec, before = dict(live), dict(was)
    if not before.get("volumeName") and spec.get("volumeName"):
        before["volumeName"] = spec["volumeName"]
    out += _class_update(new, old, spec, before)
    size, had = dig(spec, "resources", "requests", "storage"), dig(before, "resources", "requests", "storage")
    if dig(new, "status", "phase") == "Bound":
        if dig(spec, "resources", "requests") is not None and had is not None:
            spec["resources"] = {**spec["resources"], "requests": {**spec["resources"]["requests"], "storage": had}}
        spec["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if _bare(spec) != _bare(before):
        out.append(errors.field_forbidden("spec", f"{UPDATE_TEXT}\n{differences.unified(_bare(before), _bare(spec))}"))
    if had is not None and quantity.is_valid(size or "0") and quantity.compare(size or "0", had) < 0:
        if quantity.compare(size or "0", dig(old, "status", "capacity", "storage") or "0") <= 0:
            out.append(errors.field_forbidden("spec.resources.requests.storage",
                                              "field can not be less than status.capacity"))
    out += validation.immutable(live.get("volumeMode"), was.get("volumeMode"), "volumeMode")
    attributes = live.get("volumeAttributesClassName")
    if attributes != was.get("volumeAttributesClassName") and not attributes and (
            dig(old, "status", "currentVolumeAttributesClassName") is not None):
        word = "nil" if attributes is None else "empty string"
        out.append(errors.field_forbidden("spec.volumeAttributesClassName", (
            f"update to {word} is forbidden when status.currentVolumeAttributesClassName is not nil")))
    return out


def _bare(spec: Object) -> Object:
    return {k: v for k, v in spec.items() if v is not None}


def _class_update(new: Object, old: Object, spec: Object, before: Object) -> list[errors.FieldError]:
    """The class may move from the annotation of old to the field, or be given later; `before` is changed in place."""
    notes, had = (o["metadata"].get("annotations") or {} for o in (new, old))
    name = spec.get("storageClassName")
    if before.get("storageClassName") is None and name is not None:
        if _BETA_CLASS in had and name == had[_BETA_CLASS] and notes.get(_BETA_CLASS, name) == name:
            before["storageClassName"] = name
            return []
        if had.get(_BETA_CLASS, name) == name:
            before["storageClassName"] = name
    if notes.get(_BETA_CLASS, "") == had.get(_BETA_CLASS, ""):
        return []
    return [errors.field_invalid(f"metadata.annotations.{_BETA_CLASS}", notes.get(_BETA_CLASS, ""), validation.IMMUTABLE)]


_RESIZING = ("ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
             "NodeResizeInfeasible")


def validate_status(new: Object, old: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    status = new.get("status") or {}
    for name, amount in (status.get("capacity") or {}).items():
        out += not_negative(amount, f"status.capacity[{name}]")
    path = "status.allocatedResourceStatuses"
    for name, word in (status.get("allocatedResourceStatuses") or {}).items():
        out += _resource_key(name, path)
        if word not in _RESIZING:
            out.append(errors.field_not_supported(path, name, _RESIZING))
    for name, amount in (status.get("allocatedResources") or {}).items():
        out += _resource_key(name, "status.allocatedResources") or not_negative(amount, f"status.allocatedResources[{name}]")
    return out


def _resource_key(name: str, path: str) -> list[errors.FieldError]:
    if found := names.qualified(name):
        return validation.check(path, name, found)
    if resource_validation.is_native(name) and name != "storage":
        return [errors.field_not_supported(path, name, ("storage",))]
    return []


def class_name(obj: Object, now: float) -> str:
    """The storage class, by the annotation of old or the field."""
    notes = obj["metadata"].get("annotations") or {}
    return notes[_BETA_CLASS] if _BETA_CLASS in notes else dig(obj, "spec", "storageClassName") or ""


def _status(obj: Object, now: float) -> str:
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else dig(obj, "status", "phase") or ""


def _capacity(obj: Object, now: float) -> str:
    return (dig(obj, "status", "capacity", "storage") or "0") if dig(obj, "spec", "volumeName") else ""


RESOURCE = Resource(
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    registry="persistentvolumeclaims",
    subresources=(subresources.status("PersistentVolumeClaim", validate=validate_status),),
    has_generation=False,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=volume_warnings.of_claim,
    columns=(
        columns.NAME,
        Column("Status", _status, description=".status.phase"),
        Column("Volume", columns.at("spec", "volumeName"), description=".spec.volumeName"),
        Column("Capacity", _capacity, description=".status.capacity"),
        Column("Access Modes", lambda obj, now: short_modes(dig(obj, "status", "accessModes")) if dig(
            obj, "spec", "volumeName") else "", description=".status.accessModes"),
        Column("StorageClass", class_name, description="StorageClass of the pvc"),
        Column("VolumeAttributesClass", columns.at("spec", "volumeAttributesClassName", default=columns.UNSET),
               description="VolumeAttributesClass of the pvc"),
        columns.AGE,
        Column("VolumeMode", columns.at("spec", "volumeMode", default=columns.UNSET), priority=1,
               description=".spec.volumeMode"),
    ),
)
