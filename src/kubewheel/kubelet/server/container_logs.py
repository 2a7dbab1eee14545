"""/containerLogs: finds a container's log file and sends it.

In: options, the pod's worker. Out: text, followed if asked. Called by: kubelet_host.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from kubewheel.kubelet import logs
from kubewheel.kubelet.observed import Container, Observed
from kubewheel.kubelet.pod_worker import PodWorker
from kubewheel.lib.streams.upgrade import Refused

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet


def _choose(worker: PodWorker, observed: Observed, name: str, *, previous: bool) -> Container:
    """The container whose log is meant. Upstream's words where there is none."""
    pod = worker.pod["metadata"]["name"]
    records = [c for c in observed.all_of(name) if c.state != "created"]
    if previous:
        ended = [c for c in records[1:] if c.state == "exited"]
        if records and records[0].state == "exited" and name in worker.waiting_reasons():
            ended = [records[0], *ended]
        if not ended:
            raise Refused(400, f'previous terminated container "{name}" in pod "{pod}" not found')
        return ended[0]
    if records:
        return records[0]
    reason = worker.waiting_reasons().get(name, "")
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        text = "trying and failing to pull image" if reason == "ImagePullBackOff" else "image can't be pulled"
        raise Refused(400, f'container "{name}" in pod "{pod}" is waiting to start: {text}')
    statuses = [*(worker.status.get("containerStatuses") or ()), *(worker.status.get("initContainerStatuses") or ())]
    status = next((s for s in statuses if s["name"] == name), None)
    waiting = ((status or {}).get("state") or {}).get("waiting") or {}
    if waiting:
        raise Refused(400, f'container "{name}" in pod "{pod}" is waiting to start: '
                                      f"{waiting.get('reason', '')}")
    raise Refused(400, f'container "{name}" in pod "{pod}" is not available')


async def follow(kubelet: Kubelet, worker: PodWorker, name: str, options: logs.LogOptions, *,
                 previous: bool) -> AsyncIterator[bytes]:
    """The log's text as it comes. Refused where there is none."""
    spec = worker.pod["spec"]
    known = {c["name"] for key in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(key) or ()}
    if name not in known:
        raise Refused(404, f'container "{name}" not found in pod "{worker.pod["metadata"]["name"]}"')
    observed = await kubelet.deps.pleg.observe(worker.uid)
    return _text(kubelet, worker, _choose(worker, observed, name, previous=previous), options)


async def _text(kubelet: Kubelet, worker: PodWorker, container: Container,
                options: logs.LogOptions) -> AsyncIterator[bytes]:
    running = asyncio.Event()
    if container.state == "running":
        running.set()
    watcher = asyncio.create_task(_watch_end(kubelet, worker, container, running), name=f"logs:{container.id[:12]}")
    try:
        async for chunk in logs.read(container.log_path, options, is_running=running.is_set):
            yield chunk
    except FileNotFoundError:
        yield (f'failed to try resolving symlinks in path "{container.log_path}": lstat '
               f"{container.log_path}: no such file or directory").encode()
    finally:
        watcher.cancel()


async def _watch_end(kubelet: Kubelet, worker: PodWorker, container: Container, running: asyncio.Event) -> None:
    """Clears `running` once the container has ended; PLEG keeps the worker's view fresh."""
    while True:
        now = next((c for c in worker.observed.containers if c.id == container.id), None)
        if now is None or now.state == "exited":
            running.clear()
            return
        await asyncio.sleep(0.3)
