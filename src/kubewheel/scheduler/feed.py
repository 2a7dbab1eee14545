"""Cache events → Table and Queue: what changed, and whom it may help.

In: (old, new) of nodes, pods, namespaces and the objects that plugins read. Out: changed columns, queue events.
Called by: loop, which subscribes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubewheel.api.resource import Object
from kubewheel.client.cache import Caches
from kubewheel.scheduler import match
from kubewheel.scheduler.podinfo import PodInfo, podinfo
from kubewheel.scheduler.queue import Queue
from kubewheel.scheduler.table import Table

# What plugins read beside nodes and pods; every change may help a pod that a plugin naming the event turned away.
OTHERS: Mapping[str, str] = {
    "services": "Service/Update", "replicasets.apps": "", "statefulsets.apps": "", "replicationcontrollers": "",
    "persistentvolumeclaims": "PersistentVolumeClaim/Update", "persistentvolumes": "PersistentVolume/Update",
    "storageclasses.storage.k8s.io": "StorageClass/Update", "csinodes.storage.k8s.io": "CSINode/Update",
    "csidrivers.storage.k8s.io": "CSIDriver/Update", "poddisruptionbudgets.policy": "",
}
FINISHED = ("Succeeded", "Failed")


class CachedObjects:
    """plugins.base.Objects over the caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        return self._caches.get(resource).get(namespace, name)

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return self._caches.get(resource).list(namespace)


class Feed:
    def __init__(self, table: Table, queue: Queue, is_ours: Callable[[PodInfo], bool]) -> None:
        self._table, self._queue, self._is_ours = table, queue, is_ours

    def subscribe(self, caches: Caches) -> None:
        caches.get("nodes").subscribe(self.node)
        caches.get("namespaces").subscribe(self.namespace)
        for resource, event in OTHERS.items():
            cache = caches.get(resource)
            if event:
                cache.subscribe(lambda old, new, event=event: self._queue.event(event))  # type: ignore[misc]
        caches.get("pods").subscribe(self.pod)

    def restart(self, table: Table, queue: Queue, caches: Caches) -> None:
        """After a crash of the loop: the same subscriptions fill a new table and queue."""
        self._table, self._queue = table, queue
        for resource, handler in (("nodes", self.node), ("namespaces", self.namespace), ("pods", self.pod)):
            for obj in caches.get(resource).list():
                handler(None, obj)

    # -- nodes and namespaces -----------------------------------------------------------------------------------
    def node(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._table.remove_node((old or {})["metadata"]["name"])
            self._queue.event("Node/Delete")
            return
        events = _node_events(old, new)
        if old is not None and not events and _same(old, new, "status", "images"):
            return  # a heartbeat
        self._table.set_node(new)
        for event in events:
            self._queue.event(event)

    def namespace(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        self._table.set_namespace(name, (new["metadata"].get("labels") or {}) if new else None)
        if old is not None and new is not None and not _same(old, new, "metadata", "labels"):
            self._queue.event("Namespace/Update")

    # -- pods ---------------------------------------------------------------------------------------------------
    def pod(self, old: Object | None, new: Object | None) -> None:
        if new is None or (new.get("status") or {}).get("phase") in FINISHED:
            self._gone(old if old is not None else new)
            return
        uid = new["metadata"]["uid"]
        if old is not None and old["metadata"]["uid"] != uid:
            self._gone(old)
            old = None
        info = podinfo(new)
        if info.node:
            self._assigned(old, info)
        elif self._is_ours(info):
            self._pending(old, info)

    def _gone(self, pod: Object | None) -> None:
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        self._queue.remove(uid)
        self._table.nominated.pop(uid, None)
        was = self._table.remove_pod(uid)
        if was is not None or pod["spec"].get("nodeName"):
            self._queue.event("AssignedPod/Delete")

    def _assigned(self, old: Object | None, info: PodInfo) -> None:
        self._queue.done(info.uid)
        self._table.nominated.pop(info.uid, None)
        was_assigned = old is not None and bool(old["spec"].get("nodeName"))
        self._table.add_pod(info, info.node)
        if not was_assigned:
            self._queue.event("AssignedPod/Add")
            return
        before = podinfo(old or {})
        if before.labels != info.labels:
            self._queue.event("AssignedPod/UpdateLabel")
        if dict(before.shape.requests) != dict(info.shape.requests):
            self._queue.event("AssignedPod/ScaleDown")

    def _pending(self, old: Object | None, info: PodInfo) -> None:
        if info.terminating:
            self._queue.remove(info.uid)
            self._table.nominated.pop(info.uid, None)
            return
        if info.nominated and self._table.row_of(info.uid) is None:
            self._table.nominated[info.uid] = (info.nominated, info)
        if old is None or self._queue.get(info.uid) is None:
            if self._table.row_of(info.uid) is None:  # not one that is being bound right now
                self._queue.add(info)
            return
        before = podinfo(old)
        events = []
        if before.gates != info.gates:
            events.append("Pod/UpdateSchedulingGates")
        if before.signature != info.signature:
            events += ["Pod/Update", "Pod/UpdateLabel", "Pod/UpdateToleration"]
        self._queue.update(info, *events)


def _node_events(old: Object | None, new: Object) -> list[str]:
    if old is None:
        return ["Node/Add"]
    events = []
    if not _same(old, new, "status", "allocatable"):
        events.append("Node/UpdateAllocatable")
    if not _same(old, new, "metadata", "labels"):
        events.append("Node/UpdateLabel")
    if match.taints(old) != match.taints(new) or not _same(old, new, "spec", "unschedulable"):
        events.append("Node/UpdateTaint")
    return events


def _same(old: Object, new: Object, part: str, name: str) -> bool:
    return ((old.get(part) or {}).get(name) or None) == ((new.get(part) or {}).get(name) or None)
