"""Ties PersistentVolumeClaims to PersistentVolumes, and reclaims volumes whose claim is gone.

In: claims, volumes, storage classes. Out: claimRef, volumeName, phases, deletions, events. Keys: "claim:ns/name", "volume:name".
Late claims (WaitForFirstConsumer) are bound once the scheduler has chosen: it sets the volume's claimRef, or the
claim's selected-node annotation where a provisioner is to make the volume.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers.persistentvolume import match, provision, reclaim
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, split_key

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"


async def reconcile(context: Context, key: str) -> float | None:
    kind, _, rest = key.partition(":")
    namespace, name = split_key(rest)
    if kind == "volume":
        volume = context.cache(VOLUMES).get(None, name)
        return await sync_volume(context, volume) if volume is not None else None
    claim = context.cache(CLAIMS).get(namespace, name)
    return await sync_claim(context, claim) if claim is not None else None


def tell(context: Context, obj: Object, kind: str, type_: str, reason: str, message: str) -> None:
    context.events.event(objects.with_kind(obj, "v1", kind), type_, reason, message)


# -- claims -----------------------------------------------------------------------------------------------------------
async def sync_claim(context: Context, claim: Object) -> float | None:
    if objects.annotations_of(claim).get(match.BIND_COMPLETED):
        return await _bound(context, claim)
    if claim["spec"].get("volumeName"):
        return await _named(context, claim)
    if await _default_class(context, claim):
        return None  # the write brings it back
    late = is_late(context, claim)
    volume = match.find(claim, context.cache(VOLUMES).list(), late=late)
    if volume is not None:
        await bind(context, volume, claim)
        return None
    await _phase(context, claim, "Pending")
    if objects.is_terminating(claim):
        return None
    if late:
        tell(context, claim, "PersistentVolumeClaim", "Normal", "WaitForFirstConsumer",
             "waiting for first consumer to be created before binding")
        return None
    if match.class_of(claim):
        await provision.provision(context, claim)
        return None
    tell(context, claim, "PersistentVolumeClaim", "Normal", "FailedBinding",
         "no persistent volumes available for this claim and no storage class is set")
    return None


def is_late(context: Context, claim: Object) -> bool:
    if objects.annotations_of(claim).get(match.SELECTED_NODE):
        return False
    found = context.cache(CLASSES).get(None, match.class_of(claim))
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


async def _default_class(context: Context, claim: Object) -> bool:
    """A claim made before there was a default class gets it now."""
    if "storageClassName" in claim["spec"] or match.BETA_CLASS in objects.annotations_of(claim):
        return False
    found = match.default_class(context.cache(CLASSES).list())
    if found is None:
        return False
    new = codec.copy(claim)
    new["spec"]["storageClassName"] = found["metadata"]["name"]
    await context.client.update(CLAIMS, new)
    return True


async def _named(context: Context, claim: Object) -> float | None:
    """The user (or a half-done bind) chose the volume."""
    volume = context.cache(VOLUMES).get(None, claim["spec"]["volumeName"])
    if volume is None:
        await _phase(context, claim, "Pending")
        return None
    if not volume["spec"].get("claimRef"):
        why = match.mismatch(volume, claim)
        if why:
            tell(context, claim, "PersistentVolumeClaim", "Warning", "VolumeMismatch",
                 f'Cannot bind to requested volume "{volume["metadata"]["name"]}": {why}')
            await _phase(context, claim, "Pending")
            return None
    elif not match.refers_to(volume, claim):
        tell(context, claim, "PersistentVolumeClaim", "Warning", "FailedBinding",
             f'volume "{volume["metadata"]["name"]}" already bound to a different claim.')
        await _phase(context, claim, "Pending")
        return None
    await bind(context, volume, claim)
    return None


async def _bound(context: Context, claim: Object) -> float | None:
    """Once bound a claim stays with its volume; without it it is Lost."""
    name = claim["spec"].get("volumeName")
    volume = context.cache(VOLUMES).get(None, name) if name else None
    if not name:
        await _lost(context, claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. "
                                                 "Data on the volume is lost!")
    elif volume is None:
        await _lost(context, claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    elif volume["spec"].get("claimRef") and not match.refers_to(volume, claim):
        await _lost(context, claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound "
                                                     "incorrectly")
    else:
        await bind(context, volume, claim)
    return None


async def _lost(context: Context, claim: Object, reason: str, message: str) -> None:
    if (claim.get("status") or {}).get("phase") != "Lost":
        await _phase(context, claim, "Lost")
        tell(context, claim, "PersistentVolumeClaim", "Warning", reason, message)


async def bind(context: Context, volume: Object, claim: Object) -> None:
    """Volume, its phase, claim, its phase: stopped anywhere, the next look goes on from there."""
    new = match.bound_volume(volume, claim)
    if new is not volume:
        new = await context.client.update(VOLUMES, new)
    await reclaim.phase(context, new, "Bound")
    tied = match.bound_claim(claim, new)
    if tied is not claim:
        tied = await context.client.update(CLAIMS, tied)
    await _phase(context, tied, "Bound", new)


async def _phase(context: Context, claim: Object, phase: str, volume: Object | None = None) -> None:
    status = match.claim_status(claim, phase, volume)
    if status != (claim.get("status") or {}):
        await context.client.update_status(CLAIMS, {**claim, "status": status})


# -- volumes ----------------------------------------------------------------------------------------------------------
async def sync_volume(context: Context, volume: Object) -> float | None:
    ref = volume["spec"].get("claimRef")
    if not ref or not ref.get("uid"):
        await reclaim.phase(context, volume, "Available")
        if ref:
            context.enqueue(f"claim:{ref['namespace']}/{ref['name']}")
        return None
    claim = context.cache(CLAIMS).get(ref["namespace"], ref["name"])
    if claim is None or claim["metadata"]["uid"] != ref["uid"]:
        # Only the server's word releases a volume: the cache may not have seen the claim yet.
        claim = await context.client.find(CLAIMS, ref["name"], namespace=ref["namespace"])
    if claim is None or claim["metadata"]["uid"] != ref["uid"]:
        await reclaim.release(context, volume)
    elif not claim["spec"].get("volumeName"):
        context.enqueue(f"claim:{ref['namespace']}/{ref['name']}")
    elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
        await reclaim.phase(context, volume, "Bound")
    else:
        await reclaim.give_back(context, volume)
    return None


def _claim_key(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    claim = new or old or {}
    if new is not None:
        yield f"claim:{objects.key_of(new)}"
    if claim["spec"].get("volumeName"):
        yield f"volume:{claim['spec']['volumeName']}"
    if new is None:  # tied on the volume's side only
        for volume in context.cache(VOLUMES).list():
            if match.refers_to(volume, claim):
                yield f"volume:{volume['metadata']['name']}"


def _volume_key(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """The volume, the claims that name it, and, when it has become free, the claims that wait."""
    volume = new or old or {}
    name, ref = volume["metadata"]["name"], volume["spec"].get("claimRef")
    if new is not None:
        yield f"volume:{name}"
    if ref:
        yield f"claim:{ref['namespace']}/{ref['name']}"
    freed = new is not None and (new.get("status") or {}).get("phase") == "Available" \
        and ((old or {}).get("status") or {}).get("phase") != "Available"
    if freed or new is None or old is None:
        for claim in context.cache(CLAIMS).list():
            wanted = claim["spec"].get("volumeName")
            if wanted == name or (freed and not wanted and match.class_of(claim) == match.class_of(volume)):
                yield f"claim:{objects.key_of(claim)}"


def _class_key(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is not None:
        for claim in context.cache(CLAIMS).list():
            if not claim["spec"].get("volumeName"):
                yield f"claim:{objects.key_of(claim)}"


CONTROLLER = Controller(
    name="persistentvolume-binder-controller", events_as="persistentvolume-controller", reconcile=reconcile,
    workers=1,  # one pair of hands: two claims never take one volume
    watches=(Watch(CLAIMS, _claim_key), Watch(VOLUMES, _volume_key), Watch(CLASSES, _class_key)),
    rules=(rule("", "persistentvolumes", READ + " create update delete"), rule("", "persistentvolumes/status", "update"),
           rule("", "persistentvolumeclaims", READ + " update"), rule("", "persistentvolumeclaims/status", "update"),
           rule("storage.k8s.io", "storageclasses", READ), events()))
