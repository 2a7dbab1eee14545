"""Which volume fits a claim, and what a bound pair looks like. Pure.

In: claims, volumes, storage classes. Out: the volume, changed copies, problems in words. Called by: binder.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec, quantity
from kubewheel.api.resource import Object
from kubewheel.reconcile import objects

BIND_COMPLETED, BOUND_BY = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def class_of(obj: Object) -> str:
    """Of a claim or a volume; "" for none."""
    return objects.annotations_of(obj).get(BETA_CLASS) or obj["spec"].get("storageClassName") or ""


def default_class(classes: Iterable[Object]) -> Object | None:
    """The newest of those marked as default (by name where equally new)."""
    marked = [c for c in classes if objects.annotations_of(c).get(DEFAULT_CLASS) == "true"]
    marked.sort(key=lambda c: c["metadata"]["name"])
    return max(marked, key=lambda c: c["metadata"].get("creationTimestamp", ""), default=None)


def refers_to(volume: Object, claim: Object) -> bool:
    """The volume's claimRef means this claim; a ref without uid means any of that name."""
    ref, meta = volume["spec"].get("claimRef"), claim["metadata"]
    return bool(ref) and (ref.get("namespace"), ref.get("name")) == (meta["namespace"], meta["name"]) \
        and ref.get("uid", "") in ("", meta["uid"])


def size_of(volume: Object) -> int:
    return quantity.nano((volume["spec"].get("capacity") or {}).get("storage", "0"))


def wanted_size(claim: Object) -> int:
    return quantity.nano(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _mode(obj: Object) -> str:
    return obj["spec"].get("volumeMode") or "Filesystem"


def mismatch(volume: Object, claim: Object) -> str | None:
    """Why this very volume cannot serve the claim that names it, in upstream's words."""
    if size_of(volume) < wanted_size(claim):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    if _attributes(volume) != _attributes(claim):
        return "volumeAttributesClassName does not match"
    return None


def _attributes(obj: Object) -> str:
    return obj["spec"].get("volumeAttributesClassName") or ""


def find(claim: Object, volumes: Iterable[Object], *, late: bool) -> Object | None:
    """The smallest free volume that fits; one already tied to the claim comes before all. `late`: only such a one."""
    best: Object | None = None
    for volume in volumes:
        if objects.is_terminating(volume) or _mode(volume) != _mode(claim) or size_of(volume) < wanted_size(claim) \
                or _attributes(volume) != _attributes(claim):
            continue
        if volume["spec"].get("claimRef"):
            if refers_to(volume, claim):
                return volume
            continue
        if late or (volume.get("status") or {}).get("phase") != "Available" or mismatch(volume, claim):
            continue
        selector = claim["spec"].get("selector")
        if selector is not None and not objects.matches(selector, objects.labels_of(volume)):
            continue
        if best is None or (size_of(volume), volume["metadata"]["name"]) < (size_of(best), best["metadata"]["name"]):
            best = volume
    return best


def bound_volume(volume: Object, claim: Object) -> Object:
    """The volume tied to the claim; the same value if it is."""
    ref, meta = volume["spec"].get("claimRef"), claim["metadata"]
    if ref and ref.get("uid") == meta["uid"]:
        return volume
    new = codec.copy(volume)
    if not refers_to(volume, claim):
        new["metadata"]["annotations"] = {**objects.annotations_of(volume), BOUND_BY: "yes"}
    new["spec"]["claimRef"] = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": meta["namespace"],
                               "name": meta["name"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    return new


def bound_claim(claim: Object, volume: Object) -> Object:
    """The claim tied to the volume; the same value if it is."""
    notes, name = dict(objects.annotations_of(claim)), volume["metadata"]["name"]
    if claim["spec"].get("volumeName") == name and notes.get(BIND_COMPLETED) == "yes":
        return claim
    new = codec.copy(claim)
    if claim["spec"].get("volumeName") != name:
        new["spec"]["volumeName"] = name
        notes[BOUND_BY] = "yes"
    new["metadata"]["annotations"] = notes | {BIND_COMPLETED: "yes"}
    return new


def claim_status(claim: Object, phase: str, volume: Object | None) -> Object:
    status = {**(claim.get("status") or {}), "phase": phase}
    if volume is None:
        status.pop("accessModes", None)
        status.pop("capacity", None)
        return status
    status["accessModes"] = volume["spec"].get("accessModes") or []
    if (claim.get("status") or {}).get("phase") != phase or "storage" not in (status.get("capacity") or {}):
        status["capacity"] = volume["spec"].get("capacity") or {}  # later only a resize changes it
    if _attributes(volume):
        status["currentVolumeAttributesClassName"] = _attributes(volume)
    return status


def unbound_volume(volume: Object) -> Object:
    """Given back: a ref that the controller made goes, one that a user made loses its uid."""
    new = codec.copy(volume)
    if objects.annotations_of(volume).get(BOUND_BY):
        del new["metadata"]["annotations"][BOUND_BY]
        del new["spec"]["claimRef"]
    else:
        new["spec"]["claimRef"].pop("uid", None)
        new["spec"]["claimRef"].pop("resourceVersion", None)
    return new
