"""The kubelet's servers: HTTPS for the API server and its users (:10250), plain /healthz on loopback (:10248).

In: HTTPS requests. Out: logs, exec, attach, port-forward, pods, stats, metrics. Called by: kubelet.py.
Every route is in `_routes`, in upstream's paths.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.observed import Container
from kubewheel.kubelet.pod_worker import PodWorker
from kubewheel.kubelet.server import commands, container_logs, port_forward, serving_certificate, stats
from kubewheel.kubelet.server.auth import Auth
from kubewheel.lib.streams import spdy

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _flag(request: web.Request, *names: str) -> bool:
    return any(request.query.get(n, "").lower() in ("1", "true") for n in names)


class Server:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._deps = kubelet.deps
        self._options = kubelet.options
        self._auth = Auth(kubelet.client, kubelet.options)
        self._stats = stats.Stats(kubelet)
        self._runners: list[web.AppRunner] = []
        self.port = 0

    async def start(self) -> None:
        health = web.Application()
        health.router.add_get("/healthz", self._healthz)
        await self._listen(health, self._options.healthz_bind_address, self._options.healthz_port, None)
        app = web.Application(middlewares=[self._checked], client_max_size=1 << 26)
        self._routes(app)
        context = await asyncio.to_thread(self._tls)
        self.port = await self._listen(app, self._options.address, self._options.port, context)

    async def _listen(self, app: web.Application, host: str, port: int, context: ssl.SSLContext | None) -> int:
        if port < 0:
            return 0
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=context, reuse_address=True)
        await site.start()
        self._runners.append(runner)
        return runner.addresses[0][1]

    def _tls(self) -> ssl.SSLContext:
        options = self._options
        cert, key = options.tls_cert_file, options.tls_private_key_file
        if not cert:
            cert, key = serving_certificate.ensure(
                f"{options.root_dir}/pki", options.node_name, self._deps.node.host_ips, self._deps.clock.now())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cert, key)
        if options.client_ca_file:
            context.load_verify_locations(options.client_ca_file)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    async def aclose(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def _routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/healthz", self._healthz)
        add("GET", "/pods", self._pods)
        add("GET", "/runningpods/", self._running_pods)
        add("GET", "/configz", self._configz)
        add("GET", "/metrics", self._metrics)
        add("GET", "/metrics/{kind:cadvisor|resource|probes}", self._metrics)
        add("GET", "/stats/summary", self._summary)
        if not self._options.enable_debugging_handlers:
            return
        add("GET", "/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for method in ("GET", "POST"):
            for prefix in ("exec", "attach"):
                for path in ("{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"):
                    add(method, f"/{prefix}/{path}", self._command)
            for path in ("{namespace}/{pod}", "{namespace}/{pod}/{uid}"):
                add(method, f"/portForward/{path}", self._port_forward)
        add("POST", "/run/{namespace}/{pod}/{container}", self._run)
        add("GET", "/logs/", self._host_logs)
        add("GET", "/logs/{path:.*}", self._host_logs)
        add("POST", "/checkpoint/{namespace}/{pod}/{container}", self._checkpoint)

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        await self._auth.check(request)
        try:
            return await handler(request)
        except (CriError, spdy.SpdyError) as e:
            return web.Response(status=500, text=str(e))

    # -- looking things up -----------------------------------------------------------------------------------
    def _worker(self, request: web.Request) -> PodWorker:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        worker = self._kubelet.pod_named(namespace, name)
        if worker is None:
            raise web.HTTPNotFound(text=f'pod "{name}" not found\n')
        return worker

    async def _running(self, request: web.Request) -> tuple[PodWorker, Container]:
        worker, name = self._worker(request), request.match_info["container"]
        observed = await self._deps.pleg.observe(worker.uid)
        container = observed.latest(name)
        if container is None:
            raise web.HTTPNotFound(text=f"container not found (\"{name}\")\n")
        return worker, container

    # -- routes ----------------------------------------------------------------------------------------------
    async def _healthz(self, request: web.Request) -> web.Response:
        if self._deps.pleg.last_relist and (
                asyncio.get_running_loop().time() - self._deps.pleg.last_relist > 180):
            return web.Response(status=500, text="[-]pleg failed")
        return web.Response(text="ok")

    async def _pods(self, request: web.Request) -> web.Response:
        items = [{**w.pod, "status": w.status} for w in self._kubelet.workers.values()]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _running_pods(self, request: web.Request) -> web.Response:
        items = []
        for worker in self._kubelet.workers.values():
            alive = [c for c in worker.observed.running()]
            if alive:
                meta = worker.pod["metadata"]
                items.append({"metadata": {k: meta[k] for k in ("name", "namespace", "uid")},
                              "spec": {"containers": [{"name": c.name, "image": c.image, "resources": {}}
                                                      for c in alive]}, "status": {}})
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _configz(self, request: web.Request) -> web.Response:
        words = {}
        for key, value in dataclasses.asdict(self._options).items():
            head, *rest = key.split("_")
            words[head + "".join(r.capitalize() for r in rest)] = value
        return web.json_response({"kubeletconfig": words})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        return await container_logs.serve(self._kubelet, self._worker(request), request)

    async def _command(self, request: web.Request) -> web.StreamResponse:
        _, container = await self._running(request)
        wanted = commands.Wanted(stdin=_flag(request, "input", "stdin"), stdout=_flag(request, "output", "stdout"),
                                 stderr=_flag(request, "error", "stderr"), tty=_flag(request, "tty"))
        if not (wanted.stdin or wanted.stdout or wanted.stderr):
            raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
        if container.state != "running":
            raise web.HTTPInternalServerError(text=f"container {container.name} is not running")
        stderr = wanted.stderr and not wanted.tty
        if request.path.startswith("/exec/"):
            url = await self._deps.cri.exec_url(container.id, request.query.getall("command", []), stdin=wanted.stdin,
                                                stdout=wanted.stdout, stderr=stderr, tty=wanted.tty)
        else:
            url = await self._deps.cri.attach_url(container.id, stdin=wanted.stdin, stdout=wanted.stdout,
                                                  stderr=stderr, tty=wanted.tty)
        return await commands.serve(request, url, wanted)

    async def _run(self, request: web.Request) -> web.Response:
        _, container = await self._running(request)
        code, out, err = await self._deps.cri.exec_sync(container.id, request.query.get("cmd", "").split())
        return web.Response(status=200 if code == 0 else 500, body=out + err)

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        worker = self._worker(request)
        path = ""
        if not worker.pod["spec"].get("hostNetwork"):
            path = await self._network_namespace(worker)

        async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            if not path:
                return await asyncio.open_connection("127.0.0.1", port)
            sock = await asyncio.to_thread(port_forward.socket_in_namespace, path, port)
            sock.setblocking(False)
            return await asyncio.open_connection(sock=sock)

        return await port_forward.serve(request, connect)

    async def _network_namespace(self, worker: PodWorker) -> str:
        observed = await self._deps.pleg.observe(worker.uid)
        if observed.sandbox is None or not observed.sandbox.ready:
            raise web.HTTPInternalServerError(text="pod sandbox is not running")
        answer = await self._deps.cri.sandbox_status(observed.sandbox.id, verbose=True)
        info = json.loads(answer["info"].get("info", "{}"))
        for space in ((info.get("runtimeSpec") or {}).get("linux") or {}).get("namespaces") or ():
            if space.get("type") == "network" and space.get("path"):
                return space["path"]
        return f"/proc/{info['pid']}/ns/net"

    async def _host_logs(self, request: web.Request) -> web.StreamResponse:
        base = os.path.realpath("/var/log")
        path = os.path.realpath(os.path.join(base, request.match_info.get("path", "")))
        if path != base and not path.startswith(base + "/"):
            raise web.HTTPNotFound
        if os.path.isdir(path):
            names = [n + ("/" if os.path.isdir(os.path.join(path, n)) else "") for n in sorted(os.listdir(path))]
            text = "<pre>\n" + "".join(f'<a href="{n}">{n}</a>\n' for n in names) + "</pre>\n"
            return web.Response(text=text, content_type="text/html")
        if not os.path.exists(path):
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def _checkpoint(self, request: web.Request) -> web.Response:
        raise web.HTTPNotFound(text="checkpointing of containers is not supported by this kubelet\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        text = await self._stats.metrics(request.match_info.get("kind", ""))
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _summary(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await self._stats.summary()
        return web.json_response(body)
