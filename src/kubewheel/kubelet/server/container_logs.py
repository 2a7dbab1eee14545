"""/containerLogs: finds a container's log file and sends it.

In: the request's options, the pod's worker. Out: text, followed if asked. Called by: server.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from kubewheel.kubelet import logs
from kubewheel.kubelet.observed import Container, Observed
from kubewheel.kubelet.pod_worker import PodWorker
from kubewheel.lib.clock import parse_time

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet


def _options(request: web.Request, now: float) -> logs.LogOptions:
    query = request.query
    try:
        since = None
        if query.get("sinceSeconds"):
            since = now - int(query["sinceSeconds"])
        elif query.get("sinceTime"):
            since = parse_time(query["sinceTime"])
        tail = query.get("tailLines", "")
        limit = query.get("limitBytes", "")
        return logs.LogOptions(
            follow=query.get("follow") in ("1", "true"), timestamps=query.get("timestamps") in ("1", "true"),
            tail=int(tail) if tail not in ("", "all") else None, limit_bytes=int(limit) if limit else None,
            since=since, stream={"Stdout": "stdout", "Stderr": "stderr"}.get(query.get("stream", ""), ""))
    except ValueError as e:
        raise web.HTTPBadRequest(text=f"Unable to decode the request for container logs: {e}") from e


def _choose(worker: PodWorker, observed: Observed, name: str, *, previous: bool) -> Container:
    """The container whose log is meant. Upstream's words where there is none."""
    pod = worker.pod["metadata"]["name"]
    records = [c for c in observed.all_of(name) if c.state != "created"]
    if previous:
        ended = [c for c in records[1:] if c.state == "exited"]
        if records and records[0].state == "exited" and name in worker.waiting_reasons():
            ended = [records[0], *ended]
        if not ended:
            raise web.HTTPBadRequest(text=f'previous terminated container "{name}" in pod "{pod}" not found')
        return ended[0]
    if records:
        return records[0]
    reason = worker.waiting_reasons().get(name, "")
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        text = "trying and failing to pull image" if reason == "ImagePullBackOff" else "image can't be pulled"
        raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod}" is waiting to start: {text}')
    statuses = [*(worker.status.get("containerStatuses") or ()), *(worker.status.get("initContainerStatuses") or ())]
    status = next((s for s in statuses if s["name"] == name), None)
    waiting = ((status or {}).get("state") or {}).get("waiting") or {}
    if waiting:
        raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod}" is waiting to start: '
                                      f"{waiting.get('reason', '')}")
    raise web.HTTPBadRequest(text=f'container "{name}" in pod "{pod}" is not available')


async def serve(kubelet: Kubelet, worker: PodWorker, request: web.Request) -> web.StreamResponse:
    name = request.match_info["container"]
    spec = worker.pod["spec"]
    known = {c["name"] for key in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(key) or ()}
    if name not in known:
        raise web.HTTPNotFound(text=f"container {name} not found in pod {worker.pod['metadata']['name']}")
    options = _options(request, kubelet.clock.now())
    observed = await kubelet.deps.pleg.observe(worker.uid)
    container = _choose(worker, observed, name, previous=request.query.get("previous") in ("1", "true"))
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    running = asyncio.Event()
    if container.state == "running":
        running.set()
    watcher = asyncio.create_task(_watch_end(kubelet, worker, container, running), name=f"logs:{container.id[:12]}")
    try:
        async for chunk in logs.read(container.log_path, options, is_running=running.is_set):
            await response.write(chunk)
        await response.write_eof()
    except FileNotFoundError:
        await response.write(f"failed to try resolving symlinks in path \"{container.log_path}\": lstat "
                             f"{container.log_path}: no such file or directory".encode())
        await response.write_eof()
    except ConnectionError:
        return response  # the reader has gone
    finally:
        watcher.cancel()
    return response


async def _watch_end(kubelet: Kubelet, worker: PodWorker, container: Container, running: asyncio.Event) -> None:
    """Clears `running` once the container has ended; PLEG keeps the worker's view fresh."""
    while True:
        now = next((c for c in worker.observed.containers if c.id == container.id), None)
        if now is None or now.state == "exited":
            running.clear()
            return
        await asyncio.sleep(0.3)
