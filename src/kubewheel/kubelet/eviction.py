"""Eviction: when memory or disk runs low, images go first and then pods, those over their requests before others.

In: thresholds (--eviction-hard), the host's signals. Out: node pressure conditions, `worker.fail("Evicted", …)`;
also emptyDir size limits and ephemeral-storage limits of single pods. Called by: kubelet.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.api import quantity
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
        """Pods whose emptyDir is over its sizeLimit, or whose writable layers and logs are over their limit."""
        for worker in [w for w in self._kubelet.workers.values() if w.stage == "running"]:
            for volume in worker.pod["spec"].get("volumes") or ():
                limit = (volume.get("emptyDir") or {}).get("sizeLimit")
                if not limit or (volume["emptyDir"] or {}).get("medium"):
                    continue
                path = self._kubelet.options.volume_dir(worker.uid, "kubernetes.io~empty-dir", volume["name"])
                if await asyncio.to_thread(tree_size, path) > quantity.value(limit):
                    self.evict(worker, f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". ',
                               grace=1)
                    break


def tree_size(path: str) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # it went while we looked
    return total
