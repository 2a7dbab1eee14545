"""Volumes made on demand: by provisioners outside, told by annotation, or host paths made here (--enable-hostpath-provisioner).

In: a claim that no volume fits, its class. Out: annotations, a volume, events. `host_path_volume` is pure. Called by: binder.
"""

from __future__ import annotations

import asyncio
import os

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.persistentvolume import match, reclaim
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"
ANNOTATIONS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
HOST_PATH, FOLDER = "kubernetes.io/host-path", "/tmp/hostpath_pv"


def host_path_volume(claim: Object, storage_class: Object) -> Object:
    meta, spec = claim["metadata"], claim["spec"]
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {
        "name": f"pvc-{meta['uid']}", "annotations": {
            match.BOUND_BY: "yes", reclaim.PROVISIONED_BY: HOST_PATH,
            "kubernetes.io/createdby": "hostpath-dynamic-provisioner"}},
        "spec": {"capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
                 "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
                 "storageClassName": storage_class["metadata"]["name"],
                 "mountOptions": list(storage_class.get("mountOptions") or ()),
                 "hostPath": {"path": f"{FOLDER}/{meta['uid']}"},
                 "claimRef": {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": meta["namespace"],
                              "name": meta["name"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}}


async def provision(context: Context, claim: Object) -> None:
    name = match.class_of(claim)
    found = context.cache(CLASSES).get(None, name)
    if found is None:
        _tell(context, claim, "Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
        return
    provisioner = found["provisioner"]
    ours = provisioner == HOST_PATH and settings.get(context, "enable-hostpath-provisioner", False) in (True, "true")
    if provisioner.startswith("kubernetes.io/") and not ours:
        _tell(context, claim, "Warning", "ProvisioningFailed", f"no volume plugin matched name: {provisioner}")
        return
    notes = objects.annotations_of(claim)
    if any(notes.get(a) != provisioner for a in ANNOTATIONS):
        new = codec.copy(claim)
        new["metadata"]["annotations"] = {**notes, **dict.fromkeys(ANNOTATIONS, provisioner)}
        claim = await context.client.update(CLAIMS, new)
    if ours:
        await _host_path(context, claim, found)
        return
    _tell(context, claim, "Normal", "ExternalProvisioning",
          f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
          "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
          "correctly registered.")


async def _host_path(context: Context, claim: Object, storage_class: Object) -> None:
    volume = host_path_volume(claim, storage_class)
    try:
        await asyncio.to_thread(os.makedirs, volume["spec"]["hostPath"]["path"], 0o777, exist_ok=True)
        await context.client.create(VOLUMES, volume)
    except errors.StatusError as e:
        if e.reason == "AlreadyExists":
            return
        raise
    except OSError as e:
        _tell(context, claim, "Warning", "ProvisioningFailed",
              f'Failed to provision volume with StorageClass "{storage_class["metadata"]["name"]}": {e}')
        raise
    _tell(context, claim, "Normal", "ProvisioningSucceeded",
          f"Successfully provisioned volume {volume['metadata']['name']} using {HOST_PATH}")


def _tell(context: Context, claim: Object, type_: str, reason: str, message: str) -> None:
    context.events.event(objects.with_kind(claim, "v1", "PersistentVolumeClaim"), type_, reason, message)
