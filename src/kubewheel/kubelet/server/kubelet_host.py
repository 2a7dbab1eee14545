"""The real kubelet as the server's Host: workers, the container runtime, log files.

In: the Kubelet. Out: what host.py lists. Called by: kubelet.py, which hands it to the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kubewheel.kubelet.logs import LogOptions
from kubewheel.kubelet.observed import Container
from kubewheel.kubelet.pod_worker import PodWorker
from kubewheel.kubelet.server import container_logs, namespaces, stats
from kubewheel.kubelet.server.host import Object
from kubewheel.lib.streams import spdy
from kubewheel.lib.streams.port_forward import Connect
from kubewheel.lib.streams.remote_command import Wanted
from kubewheel.lib.streams.spdy_command import SpdyCommand
from kubewheel.lib.streams.upgrade import Refused

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet

PLEG_SECONDS = 180.0  # without a relist for that long the kubelet is ill


class KubeletHost:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._deps = kubelet.deps
        self._stats = stats.Stats(kubelet)

    def healthy(self) -> str:
        last = self._deps.pleg.last_relist
        return "pleg failed" if last and asyncio.get_running_loop().time() - last > PLEG_SECONDS else ""

    def pods(self) -> list[Object]:
        return [{**w.pod, "status": w.status} for w in self._kubelet.workers.values()]

    def running_pods(self) -> list[Object]:
        items: list[Object] = []
        for worker in self._kubelet.workers.values():
            alive = worker.observed.running()
            if alive:
                meta = worker.pod["metadata"]
                items.append({"metadata": {k: meta[k] for k in ("name", "namespace", "uid")},
                              "spec": {"containers": [{"name": c.name, "image": c.image, "resources": {}}
                                                      for c in alive]}, "status": {}})
        return items

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions, *,
                   previous: bool) -> AsyncIterator[bytes]:
        worker = self._kubelet.pod_named(namespace, pod)
        if worker is None:
            raise Refused(404, f'pod "{pod}" does not exist')
        return await container_logs.follow(self._kubelet, worker, container, options, previous=previous)

    async def exec(self, namespace: str, pod: str, uid: str, container: str, command: list[str],
                   wanted: Wanted) -> SpdyCommand:
        found = await self._container(namespace, pod, uid, container)
        return await self._open(await self._deps.cri.exec_url(
            found.id, command, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr, tty=wanted.tty), wanted)

    async def attach(self, namespace: str, pod: str, uid: str, container: str, wanted: Wanted) -> SpdyCommand:
        found = await self._container(namespace, pod, uid, container)
        return await self._open(await self._deps.cri.attach_url(
            found.id, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr, tty=wanted.tty), wanted)

    async def run(self, namespace: str, pod: str, uid: str, container: str, command: list[str]) -> bytes:
        found = await self._container(namespace, pod, uid, container)
        code, out, err = await self._deps.cri.exec_sync(found.id, command)
        if code != 0:
            raise Refused(500, (out + err).decode(errors="replace") or f"command terminated with exit code {code}")
        return out + err

    async def port_forward(self, namespace: str, pod: str, uid: str) -> Connect:
        worker = self._worker(namespace, pod, uid)
        path = "" if worker.pod["spec"].get("hostNetwork") else await self._network_namespace(worker)

        async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            if not path:
                return await asyncio.open_connection("127.0.0.1", port)
            sock = await asyncio.to_thread(namespaces.socket_in_namespace, path, port)
            sock.setblocking(False)
            return await asyncio.open_connection(sock=sock)

        return connect

    async def summary(self) -> Object:
        return await self._stats.summary()

    async def metrics(self, kind: str) -> str:
        return await self._stats.metrics(kind)

    # -- looking things up -----------------------------------------------------------------------------------
    def _worker(self, namespace: str, pod: str, uid: str) -> PodWorker:
        worker = self._kubelet.pod_named(namespace, pod)
        if worker is None:
            raise Refused(404, "pod does not exist")
        if uid and worker.uid != uid:
            raise Refused(404, "pod not found")
        return worker

    async def _container(self, namespace: str, pod: str, uid: str, name: str) -> Container:
        worker = self._worker(namespace, pod, uid)
        observed = await self._deps.pleg.observe(worker.uid)
        container = observed.latest(name)
        if container is None:
            raise Refused(404, f'container not found ("{name}")')
        if container.state != "running":
            raise Refused(500, f"container {name} is not running")
        return container

    async def _open(self, url: str, wanted: Wanted) -> SpdyCommand:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            return await SpdyCommand.open(parts.hostname or "127.0.0.1", parts.port or 80, path, wanted)
        except (OSError, spdy.SpdyError) as e:
            raise Refused(500, str(e)) from e

    async def _network_namespace(self, worker: PodWorker) -> str:
        observed = await self._deps.pleg.observe(worker.uid)
        if observed.sandbox is None or not observed.sandbox.ready:
            raise Refused(500, "pod sandbox is not running")
        answer = await self._deps.cri.sandbox_status(observed.sandbox.id, verbose=True)
        info = json.loads(answer["info"].get("info", "{}"))
        for space in ((info.get("runtimeSpec") or {}).get("linux") or {}).get("namespaces") or ():
            if space.get("type") == "network" and space.get("path"):
                return str(space["path"])
        return f"/proc/{info['pid']}/ns/net"
