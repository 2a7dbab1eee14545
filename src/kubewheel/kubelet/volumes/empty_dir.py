"""emptyDir: a directory that lives as long as the pod, on disk or (medium: Memory) on a tmpfs."""

from __future__ import annotations

import asyncio
import os

from kubewheel.api import quantity
from kubewheel.kubelet.volumes import atomic, mounts
from kubewheel.kubelet.volumes.volume import MountError, Request

SOURCE = "emptyDir"
DIRECTORY = "kubernetes.io~empty-dir"
READ_ONLY = False
REFRESHED = False


async def mount(request: Request) -> str:
    medium = request.source.get("medium") or ""
    if medium not in ("", "Memory"):
        raise MountError(f'emptyDir medium "{medium}" is not supported by this kubelet')
    await asyncio.to_thread(_make, request, medium)
    return request.directory


def _make(request: Request, medium: str) -> None:
    path = request.directory
    fresh = not os.path.isdir(path)
    os.makedirs(path, exist_ok=True)
    if medium == "Memory" and not mounts.is_mount(path):
        mounts.tmpfs(path, size=_size(request))
        fresh = True
    if fresh:
        os.chmod(path, 0o777)
        if request.fs_group is not None:
            atomic.own(path, request.fs_group, read_only=False)


def _size(request: Request) -> int:
    """The smaller of sizeLimit and what the node or the pod's memory limits allow; 0 leaves it to the kernel."""
    sizes = [quantity.value(request.source["sizeLimit"])] if request.source.get("sizeLimit") else []
    limits = [((c.get("resources") or {}).get("limits") or {}).get("memory")
              for c in request.pod["spec"].get("containers") or ()]
    if limits and all(limits):
        sizes.append(sum(quantity.value(text) for text in limits))
    elif request.allocatable.get("memory"):
        sizes.append(quantity.value(request.allocatable["memory"]))
    positive = [s for s in sizes if s > 0]
    return min(positive) if positive else 0
