"""What becomes of a volume without its claim: Released, then kept or deleted by its reclaim policy.

In: a volume. Out: its phase, its deletion. `deletable` is pure. Called by: binder.
"""

from __future__ import annotations

import asyncio
import os
import shutil

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers.persistentvolume import match
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context

VOLUMES = "persistentvolumes"
PROVISIONED_BY, MIGRATED_TO = "pv.kubernetes.io/provisioned-by", "pv.kubernetes.io/migrated-to"


async def phase(context: Context, volume: Object, phase_: str, message: str = "") -> Object:
    status = volume.get("status") or {}
    if status.get("phase") == phase_ and status.get("message", "") == message:
        return volume
    new: Object = {"phase": phase_, "lastPhaseTransitionTime": clocks.rfc3339(context.clock.now())}
    if message:
        new["message"] = message
    return await context.client.update_status(VOLUMES, {**volume, "status": new})


def deletable(volume: Object) -> tuple[str, str]:
    """("path", directory), ("external", ""), or ("no", why)."""
    notes, spec = objects.annotations_of(volume), volume["spec"]
    if notes.get(MIGRATED_TO) or spec.get("csi") or not notes.get(PROVISIONED_BY, "kubernetes.io/").startswith("kubernetes.io/"):
        return "external", ""
    if host := spec.get("hostPath"):
        path = os.path.normpath(host["path"])
        if path.startswith("/tmp/"):
            return "path", path
        return "no", f"host_path deleter only supports /tmp/.+ but received provided {host['path']}"
    return "no", f'error getting deleter volume plugin for volume "{volume["metadata"]["name"]}": ' \
                 "no deletable volume plugin matched"


async def release(context: Context, volume: Object) -> None:
    if (volume.get("status") or {}).get("phase") not in ("Released", "Failed"):
        volume = await phase(context, volume, "Released")
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if policy == "Delete":
        await _delete(context, volume)
    elif policy == "Recycle":
        await _fail(context, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")


async def _delete(context: Context, volume: Object) -> None:
    how, detail = deletable(volume)
    if how == "external":
        return  # who provisioned it deletes it when it sees it Released
    if how == "no":
        await _fail(context, volume, "VolumeFailedDelete", detail)
        return
    try:
        await asyncio.to_thread(_remove, detail)
    except OSError as e:
        await _fail(context, volume, "VolumeFailedDelete", str(e))
        return
    await _delete_object(context, volume)


def _remove(path: str) -> None:
    if os.path.lexists(path):
        shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


async def _delete_object(context: Context, volume: Object) -> None:
    meta = volume["metadata"]
    try:
        await context.client.delete(VOLUMES, meta["name"], uid=meta["uid"])
    except errors.StatusError as e:
        if e.code != 404:
            raise


async def _fail(context: Context, volume: Object, reason: str, message: str) -> None:
    if (volume.get("status") or {}).get("message") != message:
        await phase(context, volume, "Failed", message)
        context.events.event(objects.with_kind(volume, "v1", "PersistentVolume"), "Warning", reason, message)


async def give_back(context: Context, volume: Object) -> None:
    """Its claim has taken another volume: made for it alone it goes, else it is free again."""
    if objects.annotations_of(volume).get(PROVISIONED_BY) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        await release(context, volume)
        return
    if objects.annotations_of(volume).get(match.BOUND_BY) or volume["spec"]["claimRef"].get("uid"):
        new = await context.client.update(VOLUMES, match.unbound_volume(codec.copy(volume)))
        await phase(context, new, "Available")
