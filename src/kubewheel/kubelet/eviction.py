"""Eviction: when memory or disk runs low, images go first and then pods, those over their requests before others.

In: thresholds (--eviction-hard), the host's signals. Out: node pressure conditions, `worker.fail("Evicted", …)`;
also emptyDir size limits and ephemeral-storage limits of single pods. Called by: kubelet.py.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.api import quantity
from kubewheel.kubelet import observed
from kubewheel.kubelet.cri import CriError

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet
    from kubewheel.kubelet.pod_worker import PodWorker

log = logging.getLogger(__name__)

Object = dict[str, Any]


def threshold(text: str, total: int) -> int:
    """Bytes (or inodes) of "100Mi" or "10%"."""
    if text.endswith("%"):
        return int(total * float(text[:-1]) / 100)
    return quantity.value(text)


def rank(pods: list[tuple[Object, int]]) -> list[Object]:
    """(pod, bytes used) -> the order of eviction for memory: over its request, low priority, most over."""
    def key(item: tuple[Object, int]) -> tuple[bool, int, int]:
        pod, used = item
        asked = sum(quantity.value(((c.get("resources") or {}).get("requests") or {}).get("memory", 0))
                    for c in pod["spec"].get("containers") or ())
        return used <= asked, pod["spec"].get("priority") or 0, -(used - asked)

    return [pod for pod, _ in sorted(pods, key=key)]


def images_of(containers: list[Object]) -> set[str]:
    """Every name an image in use is known by to its containers."""
    return {c["image_ref"] for c in containers} | {(c.get("image") or {}).get("image", "") for c in containers}


def is_critical(pod: Object) -> bool:
    annotations = pod["metadata"].get("annotations") or {}
    return (pod["spec"].get("priority") or 0) >= 2_000_000_000 or (
        annotations.get("kubernetes.io/config.source", "api") != "api")


class Eviction:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._memory_until = self._disk_until = -1.0

    async def run(self) -> None:
        while True:
            try:
                await self._check()
            except (CriError, OSError) as e:
                log.warning("eviction: %s", e)
            await asyncio.sleep(self._kubelet.options.housekeeping_interval)

    async def _check(self) -> None:
        options = self._kubelet.options
        pressure = self._kubelet.node_status.pressure
        loop_time = asyncio.get_running_loop().time()
        low_memory = self._memory_available() < threshold(
            options.eviction_hard.get("memory.available", "0"), self._kubelet.deps.node.memory_capacity)
        low_disk = self._disk_is_low()
        if low_memory:
            self._memory_until = loop_time + options.eviction_pressure_transition_period
        if low_disk:
            self._disk_until = loop_time + options.eviction_pressure_transition_period
        pressure.memory = loop_time < self._memory_until
        pressure.disk = loop_time < self._disk_until
        if low_disk:
            containers = await self._kubelet.deps.cri.list_containers()
            await self._kubelet.deps.images.collect(images_of(containers), everything=True)
            low_disk = self._disk_is_low()
        if low_memory:
            await self._evict_one("memory", "The node was low on resource: memory. ")
        elif low_disk:
            await self._evict_one("ephemeral-storage", "The node was low on resource: ephemeral-storage. ")
        await self._local_limits()

    @staticmethod
    def _memory_available() -> int:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return 0

    def _disk_is_low(self) -> bool:
        hard = self._kubelet.options.eviction_hard
        stat = os.statvfs(self._kubelet.options.root_dir)
        total, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
        if free < threshold(hard.get("nodefs.available", "0"), total):
            return True
        return stat.f_files > 0 and stat.f_favail < threshold(hard.get("nodefs.inodesFree", "0"), stat.f_files)

    async def _evict_one(self, resource: str, text: str) -> None:
        stats = await self._kubelet.deps.cri.container_stats()
        used: dict[str, int] = {}
        for item in stats:
            uid = item["attributes"]["labels"].get("io.kubernetes.pod.uid", "")
            amount = ((item.get("memory") or {}).get("working_set_bytes") or {}).get("value", 0)
            used[uid] = used.get(uid, 0) + amount
        alive = [w for w in self._kubelet.workers.values() if w.stage == "running" and not is_critical(w.pod)]
        order = rank([(w.pod, used.get(w.uid, 0)) for w in alive])
        if order:
            self.evict(self._kubelet.workers[order[0]["metadata"]["uid"]], text, grace=0)

    def evict(self, worker: PodWorker, message: str, *, grace: int) -> None:
        self._kubelet.deps.events.event(worker.pod, "Warning", "Evicted", message)
        worker.fail("Evicted", message, grace=grace, disruption=("TerminationByKubelet", message))

    async def _local_limits(self) -> None:
        """Pods whose emptyDir is over its sizeLimit, or whose writable layers, logs and emptyDirs are over the limit."""
        running = [w for w in self._kubelet.workers.values() if w.stage == "running"]
        layers: dict[tuple[str, str], int] = {}
        if any(ephemeral_limits(w.pod) for w in running):
            layers = layer_sizes(await self._kubelet.deps.cri.container_stats())
        for worker in running:
            limits, volumes = ephemeral_limits(worker.pod), local_volumes(worker.pod)
            if not limits and not any((v.get("emptyDir") or {}).get("sizeLimit") for v in volumes):
                continue
            sizes = {v["name"]: await asyncio.to_thread(tree_size, self._kubelet.options.volume_dir(
                worker.uid, "kubernetes.io~empty-dir", v["name"])) for v in volumes}
            used = {}
            for name in container_names(worker.pod) if limits else ():
                logs = os.path.join(self._logs_of(worker.pod), name)
                used[name] = layers.get((worker.uid, name), 0) + await asyncio.to_thread(tree_size, logs)
            if message := local_excess(worker.pod, sizes, used):
                self.evict(worker, message, grace=1)

    def _logs_of(self, pod: Object) -> str:
        meta = pod["metadata"]
        return self._kubelet.options.log_dir(meta["namespace"], meta["name"], meta["uid"])


def container_names(pod: Object) -> list[str]:
    return [c["name"] for key in ("initContainers", "containers") for c in pod["spec"].get(key) or ()]


def ephemeral_limits(pod: Object) -> dict[str, str]:
    """The containers that limit their ephemeral storage, and the limits as they are written."""
    found = {c["name"]: ((c.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
             for c in pod["spec"].get("containers") or ()}
    return {name: limit for name, limit in found.items() if limit is not None}


def local_volumes(pod: Object) -> list[Object]:
    """The volumes that take room on the node's disk for as long as the pod lives."""
    return [v for v in pod["spec"].get("volumes") or () if "emptyDir" in v and not (v["emptyDir"] or {}).get("medium")]


def local_excess(pod: Object, volumes: dict[str, int], containers: dict[str, int]) -> str:
    """Why a pod must go, "" where it is within its limits. Bytes by emptyDir, and by container (layer and logs)."""
    for volume in local_volumes(pod):
        limit = (volume["emptyDir"] or {}).get("sizeLimit")
        if limit and volumes.get(volume["name"], 0) > quantity.value(limit):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    limits = ephemeral_limits(pod)
    if limits and sum(volumes.values()) + sum(containers.values()) > sum(map(quantity.value, limits.values())):
        total = functools.reduce(quantity.add, limits.values(), "0")
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    for name, limit in limits.items():
        if containers.get(name, 0) > quantity.value(limit):
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def layer_sizes(stats: list[Object]) -> dict[tuple[str, str], int]:
    """(pod's uid, container) -> bytes of its writable layer, out of the runtime's statistics."""
    found: dict[tuple[str, str], int] = {}
    for item in stats:
        labels = item["attributes"]["labels"]
        key = labels.get(observed.POD_UID, ""), labels.get(observed.CONTAINER_NAME, "")
        size = ((item.get("writable_layer") or {}).get("used_bytes") or {}).get("value", 0)
        found[key] = max(found.get(key, 0), size)
    return found


def tree_size(path: str) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # it went while we looked
    return total
