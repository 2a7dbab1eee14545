"""persistentvolumes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable

from kubewheel.api import columns, differences, errors, fill, names, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import old_volume_validation as old
from kubewheel.api.core import (
    path_validation,
    persistentvolumeclaim,
    scheduling_validation,
    volume_validation,
    volume_warnings,
)
from kubewheel.api.resource import Column, Object, PrepareContext, Resource
from kubewheel.lib import clock

_NOT_SOURCES = ("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity",
                "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName", "volumeMode")


def sources(spec: Object) -> list[str]:
    return [k for k, v in spec.items() if k not in _NOT_SOURCES and v is not None]


def defaults(obj: Object) -> None:
    spec = fill.spec_of(obj)
    fill.absent(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if (host := spec.get("hostPath")) is not None:
        fill.absent(host, type="")
    if (status := obj.get("status")) is not None:
        fill.absent(status, phase="Pending")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": clock.rfc3339(context.now)}


def prepare_status(new: Object, old: Object, context: PrepareContext) -> None:
    """When the phase changed is noted, unless the writer says."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    if status.get("phase") != before.get("phase") and (
            status.get("lastPhaseTransitionTime") in (None, before.get("lastPhaseTransitionTime"))):
        status["lastPhaseTransitionTime"] = clock.rfc3339(context.now)


def validate(obj: Object) -> list[errors.FieldError]:
    return spec_rules(obj.get("spec") or {}, "spec", inline=False, name=obj["metadata"].get("name") or "")


_INLINE = "may not be specified in the context of inline volumes"


def spec_rules(spec: Object, at: str, *, inline: bool, name: str = "") -> list[errors.FieldError]:
    """`inline`: of a volume that is described where it is attached (VolumeAttachment), and is no object named `name`."""
    out = _inline(spec, at) if inline else []
    modes = spec.get("accessModes") or ()
    if not modes:
        out.append(errors.field_required(f"{at}.accessModes"))
    for mode in modes:
        if mode not in persistentvolumeclaim.MODES:
            out.append(errors.field_not_supported(f"{at}.accessModes", mode, persistentvolumeclaim.MODES))
    if "ReadWriteOncePod" in modes and set(modes) & (set(persistentvolumeclaim.MODES) - {"ReadWriteOncePod"}):
        out.append(errors.field_forbidden(f"{at}.accessModes", "may not use ReadWriteOncePod with other access modes"))
    policy = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    if not inline:
        out += _capacity(spec, at)
        if policy not in _POLICIES:
            out.append(errors.field_not_supported(f"{at}.persistentVolumeReclaimPolicy", policy, _POLICIES))
    elif policy != "Retain":
        out.append(errors.field_forbidden(f"{at}.persistentVolumeReclaimPolicy",
                                          "may only be Retain in the context of inline volumes"))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if inline:
            out.append(errors.field_forbidden(f"{at}.nodeAffinity", _INLINE))
        elif affinity.get("required") is None:
            out.append(errors.field_required(f"{at}.nodeAffinity.required", "must specify required node constraints"))
        else:
            out += scheduling_validation.node_selector(affinity["required"], f"{at}.nodeAffinity.required")
    return out + _source(spec, at, name) + _class(spec, at, inline=inline)


def _inline(spec: Object, at: str) -> list[errors.FieldError]:
    out = [errors.field_forbidden(f"{at}.{field}", _INLINE) for field in ("claimRef", "capacity") if spec.get(field)]
    if spec.get("csi") is None:
        out.append(errors.field_required(f"{at}.csi", "has to be specified in the context of inline volumes"))
    return out


def _capacity(spec: Object, at: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    capacity = spec.get("capacity") or {}
    if not capacity:
        out.append(errors.field_required(f"{at}.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        out.append(errors.field_not_supported(f"{at}.capacity", capacity or None, ("storage",)))
    for name, amount in capacity.items():
        where = f"{at}.capacity[{name}]"
        out += persistentvolumeclaim.not_negative(amount, where) + persistentvolumeclaim.positive(amount, where)
    return out


def _source(spec: Object, at: str, name: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    have = [kind for kind in _RULES if spec.get(kind) is not None]
    for kind in have:
        if kind != have[0] and kind != "flexVolume":  # which upstream does not count
            out.append(errors.field_forbidden(f"{at}.{_SHOWN_EXTRA.get(kind, kind)}", "may not specify more than 1 volume type"))
            continue
        where = f"{at}.{kind}"
        out += old.iscsi(spec[kind], where, volume=name) if kind == "iscsi" else _RULES[kind](spec[kind], where)
        if kind == "local" and spec.get("nodeAffinity") is None:
            out.append(errors.field_required(f"{at}.nodeAffinity", "Local volume requires node affinity"))
    if not have:
        out.append(errors.field_required(at, "must specify a volume type"))
    path = dig(spec, "hostPath", "path")
    if path and posixpath.normpath(path) == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        out.append(errors.field_forbidden(f"{at}.persistentVolumeReclaimPolicy",
                                          "may not be 'recycle' for a hostPath mount of '/'"))
    return out


def _class(spec: Object, at: str, *, inline: bool) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    name, mode = spec.get("storageClassName"), spec.get("volumeMode")
    if inline:
        if name:
            out.append(errors.field_forbidden(f"{at}.storageClassName", _INLINE))
        if mode not in (None, "Filesystem"):
            out.append(errors.field_forbidden(
                f"{at}.volumeMode", "may not specify volumeMode other than Filesystem in the context of inline volumes"))
    else:
        out += validation.check(f"{at}.storageClassName", name, names.subdomain(name)) if name else []
        out += validation.one_of(mode, ("Block", "Filesystem"), f"{at}.volumeMode", required=False)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        where = f"{at}.volumeAttributesClassName"
        if not attributes:
            out.append(errors.field_required(where, "an empty string is disallowed"))
        else:
            out += validation.check(where, attributes, names.subdomain(attributes))
        if spec.get("csi") is None:
            out.append(errors.field_required(f"{at}.csi", "has to be specified when using volumeAttributesClassName"))
    return out


def _csi(s: Object, path: str) -> list[errors.FieldError]:
    out = volume_validation.driver_name(s.get("driver") or "", f"{path}.driver")
    if not s.get("volumeHandle"):
        out.append(errors.field_required(f"{path}.volumeHandle"))
    for field in ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef",
                  "nodeExpandSecretRef"):
        if (ref := s.get(field)) is not None:
            for part, rule in (("name", names.subdomain), ("namespace", names.label)):
                value = ref.get(part) or ""
                out += validation.check(f"{path}.{field}.{part}", value, rule(value)) if value else [
                    errors.field_required(f"{path}.{field}.{part}")]
    return out


def _local(s: Object, path: str) -> list[errors.FieldError]:
    if not s.get("path"):
        return [errors.field_required(f"{path}.path")]
    return path_validation.no_backsteps(s["path"], f"{path}.path")


# In the order in which upstream looks at them: the first one counts, the others are one too many.
_RULES: dict[str, Callable[[Object, str], list[errors.FieldError]]] = {
    "hostPath": volume_validation.host_path, "gcePersistentDisk": volume_validation.disk("pdName", "persistentDisk"),
    "awsElasticBlockStore": volume_validation.disk("volumeID"), "glusterfs": old.glusterfs, "flocker": old.flocker,
    "nfs": volume_validation.nfs, "rbd": volume_validation.required("monitors", "image"), "quobyte": old.quobyte,
    "cephfs": volume_validation.required("monitors"), "iscsi": old.iscsi,
    "cinder": functools.partial(old.cinder, persistent=True), "fc": old.fc, "flexVolume": old.flex,
    "azureFile": old.azure_file, "vsphereVolume": volume_validation.required("volumePath"),
    "photonPersistentDisk": volume_validation.required("pdID"),
    "portworxVolume": volume_validation.required("volumeID"), "azureDisk": old.azure_disk,
    "scaleIO": volume_validation.required("gateway", "system", "volumeName"), "local": _local,
    "storageos": functools.partial(old.storageos, persistent=True), "csi": _csi}
_SHOWN_EXTRA = {"cephfs": "cephFS"}
_POLICIES = ("Delete", "Recycle", "Retain")


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    have, had = {k: spec[k] for k in sources(spec)}, {k: before[k] for k in sources(before)}
    if had.get("csi") and have.get("csi") and "controllerExpandSecretRef" not in had["csi"]:
        have["csi"] = {k: v for k, v in have["csi"].items() if k != "controllerExpandSecretRef"}
    if have != had:
        out.append(errors.field_forbidden("spec.persistentvolumesource", (
            f"spec.persistentvolumesource is immutable after creation\n{differences.unified(had, have)}")))
    out += validation.immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    if before.get("nodeAffinity") is not None and not _same_affinity(spec.get("nodeAffinity"), before["nodeAffinity"]):
        out.append(errors.field_invalid("nodeAffinity", scheduling_validation.go_affinity(spec.get("nodeAffinity")),
                                        "field is immutable, except for updating from beta label to GA"))
    if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        out.append(errors.field_forbidden("spec.volumeAttributesClassName",
                                          "update from non-nil value to nil is forbidden"))
    return out


_LASTING = {"failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
            "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
            "beta.kubernetes.io/os": "kubernetes.io/os", "beta.kubernetes.io/arch": "kubernetes.io/arch",
            "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type"}


def _same_affinity(new: Object | None, was: Object) -> bool:
    """Labels that were beta may be called by their lasting names."""
    if new == was:
        return True
    terms, before = (dig(a or {}, "required", "nodeSelectorTerms") or [] for a in (new, was))
    if len(terms) != len(before):
        return False
    for term, had in zip(terms, before, strict=True):
        for side in ("matchExpressions", "matchFields"):
            ours, theirs = term.get(side) or [], had.get(side) or []
            if len(ours) != len(theirs) or any(
                    e != t and {**t, "key": _LASTING.get(t.get("key", ""))} != e for e, t in zip(ours, theirs, strict=True)):
                return False
    return True


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
    subresources=(subresources.status("PersistentVolume", prepare=prepare_status),),
    has_generation=False,
    prepare_create=prepare_create,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=volume_warnings.of_persistent_volume,
    columns=(
        columns.NAME,
        Column("Capacity", columns.at("spec", "capacity", "storage", default="0"), description=".spec.capacity"),
        Column("Access Modes", lambda obj, now: persistentvolumeclaim.short_modes(dig(obj, "spec", "accessModes")),
               description=".spec.accessModes"),
        Column("Reclaim Policy", columns.at("spec", "persistentVolumeReclaimPolicy"),
               description=".spec.persistentVolumeReclaimPolicy"),
        Column("Status", _status, description=".status.phase"),
        Column("Claim", _claim, description=".spec.claimRef"),
        Column("StorageClass", persistentvolumeclaim.class_name, description="StorageClass of the pv"),
        Column("VolumeAttributesClass", columns.at("spec", "volumeAttributesClassName", default=columns.UNSET),
               description="VolumeAttributesClass of the pv"),
        Column("Reason", columns.at("status", "reason"), description=".status.reason"),
        columns.AGE,
        Column("VolumeMode", columns.at("spec", "volumeMode", default=columns.UNSET), priority=1,
               description=".spec.volumeMode"),
    ),
)
