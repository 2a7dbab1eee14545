"""Takes the protection finalizers off claims, volumes and attributes classes that are being deleted, once nobody uses them.

In: persistentvolumeclaims, persistentvolumes, pods. Out: finalizers (admission puts them on; what is older gets them here).
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
ATTRIBUTES = "volumeattributesclasses.storage.k8s.io"
ATTRIBUTES_FINALIZER = "kubernetes.io/vac-protection"
CLAIM_FINALIZER, VOLUME_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def claims_of(pod: Object) -> Iterable[str]:
    """Names of the claims a pod mounts."""
    for volume in pod["spec"].get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def uses(pod: Object, claim: Object) -> bool:
    """A pod without a node has nothing mounted; its kubelet will refuse it."""
    return bool(pod["spec"].get("nodeName")) and claim["metadata"]["name"] in claims_of(pod)


def plan(obj: Object, finalizer: str, in_use: bool) -> Object | None:
    """The object with the finalizer put on or taken off; None if it is right as it is."""
    have = obj["metadata"].get("finalizers") or []
    if objects.is_terminating(obj):
        if in_use or finalizer not in have:
            return None
        wanted = [f for f in have if f != finalizer]
    elif finalizer not in have:
        wanted = [*have, finalizer]
    else:
        return None
    new = codec.copy(obj)
    new["metadata"]["finalizers"] = wanted
    return new


async def reconcile_claim(context: Context, key: str) -> None:
    namespace, name = split_key(key)
    claim = context.cache(CLAIMS).get(namespace, name)
    if claim is None:
        return
    in_use = False
    if objects.is_terminating(claim):
        in_use = any(uses(p, claim) for p in context.cache("pods").list(namespace))
        if not in_use:  # the server is asked before data may go
            in_use = any(uses(p, claim) for p in (await context.client.list("pods", namespace=namespace))["items"])
    new = plan(claim, CLAIM_FINALIZER, in_use)
    if new is not None:
        await context.client.update(CLAIMS, new)


async def reconcile_volume(context: Context, key: str) -> None:
    volume = context.cache(VOLUMES).get(None, key)
    if volume is None:
        return
    new = plan(volume, VOLUME_FINALIZER, (volume.get("status") or {}).get("phase") == "Bound")
    if new is not None:
        await context.client.update(VOLUMES, new)


def attributes_of(obj: Object) -> set[str]:
    """Names of the VolumeAttributesClasses that a claim or a volume wants, has or is on its way to."""
    spec, status = obj["spec"], obj.get("status") or {}
    return {n for n in (spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"),
                        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")) if n}


async def reconcile_attributes(context: Context, key: str) -> None:
    found = context.cache(ATTRIBUTES).get(None, key)
    if found is None:
        return
    in_use = objects.is_terminating(found) and any(
        key in attributes_of(o) for kind in (CLAIMS, VOLUMES) for o in context.cache(kind).list())
    new = plan(found, ATTRIBUTES_FINALIZER, in_use)
    if new is not None:
        await context.client.update(ATTRIBUTES, new)


def _attributes(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """The classes that are no longer named."""
    if old is not None:
        yield from attributes_of(old) - (attributes_of(new) if new is not None else set())


def _of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """Its claims, when the pod goes (or was replaced by another of its name)."""
    if old is not None and (new is None or old["metadata"].get("uid") != new["metadata"].get("uid")):
        for name in claims_of(old):
            yield f"{old['metadata']['namespace']}/{name}"


CLAIM_PROTECTION = Controller(
    name="persistentvolumeclaim-protection-controller", reconcile=reconcile_claim,
    watches=(Watch(CLAIMS, own_key), Watch("pods", _of_pod)),
    rules=(rule("", "persistentvolumeclaims", READ + " update"), rule("", "pods", READ), events()))
VOLUME_PROTECTION = Controller(
    name="persistentvolume-protection-controller", reconcile=reconcile_volume, watches=(Watch(VOLUMES, own_key),),
    rules=(rule("", "persistentvolumes", READ + " update"), events()))
ATTRIBUTES_PROTECTION = Controller(
    name="volumeattributesclass-protection-controller", reconcile=reconcile_attributes,
    watches=(Watch(ATTRIBUTES, own_key), Watch(CLAIMS, _attributes), Watch(VOLUMES, _attributes)),
    rules=(rule("storage.k8s.io", "volumeattributesclasses", READ + " update"),
           rule("", "persistentvolumeclaims persistentvolumes", READ), events()))
