"""Old records and files: exited containers, dead sandboxes, images, logs past their size.

In: the kubelet. Out: removals. Called by: kubelet.py, every housekeeping round.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from kubewheel.kubelet import eviction, observed
from kubewheel.kubelet.cri import CONTAINER_EXITED, CONTAINER_RUNNING, SANDBOX_READY, CriError
from kubewheel.lib.clock import rfc3339

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet

log = logging.getLogger(__name__)

Object = dict[str, Any]
IMAGES_EVERY = 300.0


class Collector:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._cri = kubelet.deps.cri
        self._images_at = 0.0

    async def collect(self) -> None:
        containers = await self._cri.list_containers()
        sandboxes = await self._cri.list_sandboxes()
        await self._old_containers(containers)
        await self._old_sandboxes(sandboxes, containers)
        await self._rotate_logs(containers)
        now = asyncio.get_running_loop().time()
        if now - self._images_at >= IMAGES_EVERY:
            self._images_at = now
            await self._kubelet.deps.images.collect(eviction.images_of(containers))

    async def _old_containers(self, containers: list[Object]) -> None:
        """Of each container name, the newest records are kept: the last one and so many dead before it."""
        groups: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for container in containers:
            labels = container["labels"]
            if observed.POD_UID in labels:
                groups[(labels[observed.POD_UID], labels.get(observed.CONTAINER_NAME, ""))].append(container)
        keep = self._kubelet.options.maximum_dead_containers_per_container + 1
        for (uid, _), group in groups.items():
            worker = self._kubelet.workers.get(uid)
            if worker is None:
                continue
            group.sort(key=lambda c: -c["created_at"])
            for old in group[keep:]:
                if old["state"] == CONTAINER_EXITED:
                    await self._cri.remove_container(old["id"])
                    await asyncio.to_thread(self._remove_log, worker.pod, old)

    def _remove_log(self, pod: Object, container: Object) -> None:
        meta = pod["metadata"]
        name = container["labels"][observed.CONTAINER_NAME]
        count = container["annotations"].get(observed.RESTART_COUNT, "0")
        base = self._kubelet.options.log_dir(meta["namespace"], meta["name"], meta["uid"])
        directory = os.path.join(base, name)
        if not os.path.isdir(directory):
            return
        for entry in os.scandir(directory):
            if entry.name == f"{count}.log" or entry.name.startswith(f"{count}.log."):
                os.unlink(entry.path)
        link = os.path.join(self._kubelet.options.container_logs_dir,
                            f"{meta['name']}_{meta['namespace']}_{name}-{container['id']}.log")
        if os.path.islink(link):
            os.unlink(link)

    async def _old_sandboxes(self, sandboxes: list[Object], containers: list[Object]) -> None:
        """Sandboxes that are not the newest of their pod and hold nothing any more."""
        in_use = {c["pod_sandbox_id"] for c in containers}
        newest: dict[str, Object] = {}
        for sandbox in sandboxes:
            uid = sandbox["labels"].get(observed.POD_UID, "")
            if uid not in newest or sandbox["created_at"] > newest[uid]["created_at"]:
                newest[uid] = sandbox
        for sandbox in sandboxes:
            uid = sandbox["labels"].get(observed.POD_UID, "")
            if uid and sandbox["state"] != SANDBOX_READY and sandbox["id"] not in in_use and (
                    newest[uid]["id"] != sandbox["id"]):
                await self._cri.remove_sandbox(sandbox["id"])

    async def _rotate_logs(self, containers: list[Object]) -> None:
        options = self._kubelet.options
        for container in [c for c in containers if c["state"] == CONTAINER_RUNNING]:
            labels = container["labels"]
            if observed.POD_UID not in labels:
                continue
            path = os.path.join(
                options.log_dir(labels[observed.POD_NAMESPACE], labels[observed.POD_NAME], labels[observed.POD_UID]),
                labels[observed.CONTAINER_NAME], f"{container['annotations'].get(observed.RESTART_COUNT, '0')}.log")
            if os.path.isfile(path) and os.path.getsize(path) > options.container_log_max_size:
                await self._rotate(container["id"], path)

    async def _rotate(self, container_id: str, path: str) -> None:
        stamp = rfc3339(self._kubelet.clock.now()).replace("-", "").replace(":", "").replace("T", "-").rstrip("Z")
        rotated = f"{path}.{stamp}"
        os.rename(path, rotated)
        try:
            await self._cri.reopen_log(container_id)
        except CriError as e:
            os.rename(rotated, path)
            log.warning("log %s not rotated: %s", path, e)
            return
        await asyncio.to_thread(_thin_out, path, self._kubelet.options.container_log_max_files)


def _thin_out(path: str, keep: int) -> None:
    """Compresses all rotated logs but the newest, and keeps `keep` files in all."""
    import gzip

    directory, name = os.path.split(path)
    rotated = sorted(e.path for e in os.scandir(directory) if e.name.startswith(name + "."))
    for old in rotated[:max(len(rotated) - (keep - 1), 0)]:
        os.unlink(old)
    for old in [p for p in rotated[:-1] if os.path.exists(p) and not p.endswith(".gz")]:
        with open(old, "rb") as source, gzip.open(old + ".gz", "wb") as target:
            shutil.copyfileobj(source, target)
        os.unlink(old)
