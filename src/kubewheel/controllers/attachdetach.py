"""Attaches CSI volumes to the nodes whose pods use them, and detaches them when nothing there does any more.

In: nodes, pods, claims, volumes, csidrivers, volumeattachments. Out: volumeattachments, node.status.volumesAttached, events.
One key per node. `wanted` is pure. Volumes of other kinds need no attaching.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.controllers.node_lifecycle import node_of
from kubewheel.controllers.persistentvolume import protection
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
ATTACHMENTS, DRIVERS = "volumeattachments.storage.k8s.io", "csidrivers.storage.k8s.io"
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
MAX_UNMOUNT_WAIT = 360.0  # upstream's: a node that never says "unmounted" is overruled


@dataclass(frozen=True, slots=True)
class Volume:
    name: str  # of the PersistentVolume
    driver: str
    handle: str

    @property
    def unique_name(self) -> str:
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment(self, node: str) -> str:
        return "csi-" + hashlib.sha256(f"{self.handle}{self.driver}{node}".encode()).hexdigest()


def wanted(pods: Iterable[Object], volume_of: Callable[[str, str], Object | None],
           drivers: Mapping[str, Object]) -> dict[str, tuple[Volume, Object]]:
    """Attachable volumes of pods that are not over: unique name -> (volume, a pod that uses it)."""
    out: dict[str, tuple[Volume, Object]] = {}
    for pod in pods:
        if objects.is_finished(pod):
            continue
        for claim in protection.claims_of(pod):
            pv = volume_of(pod["metadata"]["namespace"], claim)
            csi = ((pv or {}).get("spec") or {}).get("csi")
            if pv is None or not csi:
                continue
            driver = drivers.get(csi["driver"])
            if driver is not None and (driver.get("spec") or {}).get("attachRequired", True) is False:
                continue
            volume = Volume(pv["metadata"]["name"], csi["driver"], csi["volumeHandle"])
            out.setdefault(volume.unique_name, (volume, pod))
    return out


async def reconcile(context: Context, key: str) -> float | None:
    node = context.cache("nodes").get(None, key)
    if node is not None and objects.annotations_of(node).get(MANAGED) != "true":
        return None  # its kubelet attaches by itself
    drivers = {d["metadata"]["name"]: d for d in context.cache(DRIVERS).list()}
    want = {} if node is None else wanted(
        context.cache("pods").by_index("node", key), lambda ns, claim: _volume_of(context, ns, claim), drivers)
    have = {a["metadata"]["name"]: a for a in context.cache(ATTACHMENTS).list() if a["spec"]["nodeName"] == key}
    for volume, pod in want.values():
        attachment = have.get(volume.attachment(key))
        if attachment is None:
            await _attach(context, volume, key, pod)
        elif message := ((attachment.get("status") or {}).get("attachError") or {}).get("message"):
            context.events.event(objects.with_kind(pod, "v1", "Pod"), "Warning", "FailedAttachVolume",
                                 f'AttachVolume.Attach failed for volume "{volume.name}" : {message}')
    keep = {v.attachment(key) for v, _ in want.values()}
    again = None
    for name, attachment in have.items():
        if name not in keep:
            left = await _detach(context, node, attachment)
            again = left if again is None else min(again, left or again)
    if node is not None:
        await _report(context, node, want, have)
    return again or None


def _volume_of(context: Context, namespace: str, name: str) -> Object | None:
    claim = context.cache(CLAIMS).get(namespace, name)
    if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
        return None
    return context.cache(VOLUMES).get(None, claim["spec"].get("volumeName", ""))


async def _attach(context: Context, volume: Volume, node: str, pod: Object) -> None:
    try:
        await context.client.create(ATTACHMENTS, {
            "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
            "metadata": {"name": volume.attachment(node)},
            "spec": {"attacher": volume.driver, "nodeName": node, "source": {"persistentVolumeName": volume.name}}})
    except errors.StatusError as e:
        if e.reason != "AlreadyExists":
            context.events.event(objects.with_kind(pod, "v1", "Pod"), "Warning", "FailedAttachVolume",
                                 f'AttachVolume.Attach failed for volume "{volume.name}" : {e.message}')
            raise


async def _detach(context: Context, node: Object | None, attachment: Object) -> float:
    """Deletes the attachment once the kubelet has unmounted; else the seconds it may still take."""
    meta, since = attachment["metadata"], context.state
    if objects.is_terminating(attachment):
        return 0.0
    in_use = {_handle_of(n) for n in ((node or {}).get("status") or {}).get("volumesInUse") or ()}
    pv = context.cache(VOLUMES).get(None, attachment["spec"]["source"].get("persistentVolumeName", ""))
    handle = (((pv or {}).get("spec") or {}).get("csi") or {}).get("volumeHandle")
    away = node is None or any(t["key"] == OUT_OF_SERVICE for t in (node.get("spec") or {}).get("taints") or ())
    if not away and handle in in_use:
        now = asyncio.get_running_loop().time()
        left = since.setdefault(meta["name"], now) + MAX_UNMOUNT_WAIT - now
        if left > 0:
            return left
    since.pop(meta["name"], None)
    try:
        await context.client.delete(ATTACHMENTS, meta["name"], uid=meta["uid"])
    except errors.StatusError as e:
        if e.code != 404:
            raise
    return 0.0


def _handle_of(unique_name: str) -> str:
    return unique_name.rpartition("^")[2]


async def _report(context: Context, node: Object, want: Mapping[str, tuple[Volume, Object]],
                  have: Mapping[str, Object]) -> None:
    """node.status.volumesAttached: the kubelet mounts nothing that is not there."""
    name = node["metadata"]["name"]
    attached = []
    for attachment in have.values():
        pv = context.cache(VOLUMES).get(None, attachment["spec"]["source"].get("persistentVolumeName", ""))
        csi = ((pv or {}).get("spec") or {}).get("csi")
        if csi and (attachment.get("status") or {}).get("attached") and not objects.is_terminating(attachment):
            unique = Volume("", csi["driver"], csi["volumeHandle"]).unique_name
            attached.append({"name": unique, "devicePath": ""})
            if unique in want and _is_news(node, unique):
                context.events.event(objects.with_kind(want[unique][1], "v1", "Pod"), "Normal", "SuccessfulAttachVolume",
                                     f'AttachVolume.Attach succeeded for volume "{want[unique][0].name}" ')
    attached.sort(key=lambda v: v["name"])
    old = (node.get("status") or {}).get("volumesAttached") or []
    if attached != sorted(old, key=lambda v: v["name"]):
        await context.client.patch("nodes", name, {"status": {"volumesAttached": attached or None}}, subresource="status")


def _is_news(node: Object, unique: str) -> bool:
    return all(v["name"] != unique for v in (node.get("status") or {}).get("volumesAttached") or ())


def _of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    pod = new or old or {}
    if any(True for _ in protection.claims_of(pod)):
        yield from node_of(pod)


def _of_claim(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    meta = (new or old or {})["metadata"]
    for pod in context.cache("pods").list(meta["namespace"]):
        if meta["name"] in protection.claims_of(pod):
            yield from node_of(pod)


def _of_attachment(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    yield (new or old or {})["spec"]["nodeName"]


def _of_node(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """Heartbeats are frequent and tell nothing."""
    if old is None or new is None or any(_facts(old)[i] != _facts(new)[i] for i in range(3)):
        yield from own_key(old, new, context)


def _facts(node: Object) -> tuple[object, object, object]:
    status = node.get("status") or {}
    return status.get("volumesInUse"), status.get("volumesAttached"), (node.get("spec") or {}).get("taints")


def setup(context: Context) -> dict[str, float]:
    context.cache("pods").add_index("node", node_of)
    return {}  # attachment -> loop time since which it waits for the unmount


CONTROLLER = Controller(
    name="persistentvolume-attach-detach-controller", events_as="attachdetach-controller",
    reconcile=reconcile, setup=setup, reads=(VOLUMES, DRIVERS),
    watches=(Watch("pods", _of_pod), Watch("nodes", _of_node), Watch(CLAIMS, _of_claim), Watch(ATTACHMENTS, _of_attachment)),
    rules=(rule("", "persistentvolumeclaims persistentvolumes pods", "list watch"), rule("", "nodes", READ),
           rule("", "nodes/status", "patch update"), rule("storage.k8s.io", "csidrivers csinodes", READ),
           rule("storage.k8s.io", "volumeattachments", READ + " create delete"), events()))
