"""The kubelet's servers: HTTPS for the API server and its users (:10250), plain /healthz on loopback (:10248).

In: HTTPS requests, a Host that runs the pods. Out: logs, exec, attach, port-forward, pods, stats, metrics.
Called by: kubelet.py, testing (for simulated nodes). Every route is in `_routes`, in upstream's paths.
"""

from __future__ import annotations

import asyncio
import html
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from aiohttp import web

from kubewheel.api import errors
from kubewheel.client.client import Client
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.server import configz, log_options
from kubewheel.kubelet.server.auth import Auth
from kubewheel.kubelet.server.host import Host, Object
from kubewheel.lib import clock as clocks
from kubewheel.lib.streams import port_forward, remote_command
from kubewheel.lib.streams.remote_command import Command, Wanted
from kubewheel.lib.streams.upgrade import Refused

log = logging.getLogger(__name__)

_wire = logging.getLogger(__name__ + ".wire")
_wire.setLevel(logging.CRITICAL)  # what is no HTTP is answered with 400, not logged: anybody can send it

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DEBUGGING = ("/run/", "/exec/", "/attach/", "/portForward/", "/containerLogs/", "/runningpods/", "/debug/pprof/", "/logs/")


class Server:
    """`contexts` makes the TLS context of the main port; it runs in a thread."""

    def __init__(self, host: Host, client: Client, options: Options, *, clock: clocks.Clock,
                 context: Callable[[], ssl.SSLContext]) -> None:
        self._host = host
        self._options = options
        self._clock = clock
        self._context = context
        self._auth = Auth(client, options)
        self._runners: list[web.AppRunner] = []
        self.port = 0
        self.healthz_port = 0

    async def start(self) -> None:
        health = web.Application()
        health.router.add_get("/healthz", self._healthz)
        self.healthz_port = await self._listen(
            health, self._options.healthz_bind_address, self._options.healthz_port, None)
        app = web.Application(middlewares=[self._checked], client_max_size=1 << 20)
        self._routes(app)
        context = await asyncio.to_thread(self._context)
        self.port = await self._listen(app, self._options.address, self._options.port, context)

    async def _listen(self, app: web.Application, host: str, port: int, context: ssl.SSLContext | None) -> int:
        if port < 0:
            return 0
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False,
                               handler_cancellation=True, logger=_wire)
        await runner.setup()
        site = web.TCPSite(runner, host, port, ssl_context=context, reuse_address=True)
        await site.start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def aclose(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    def _routes(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/healthz", self._healthz)
        add("GET", "/healthz/{check:ping|log|syncloop}", self._healthz)
        for path in ("/pods", "/pods/"):
            add("GET", path, self._pods)
        add("GET", "/metrics", self._metrics)
        add("GET", "/metrics/{kind:cadvisor|resource|probes}", self._metrics)
        for path in ("/stats/summary", "/stats/summary/"):
            add("GET", path, self._summary)
        if not self._options.enable_debugging_handlers:
            for prefix in DEBUGGING:
                add("*", prefix + "{rest:.*}", self._disabled)
            return
        add("GET", "/configz", self._configz)
        for path in ("/runningpods", "/runningpods/"):
            add("GET", path, self._running_pods)
        add("GET", "/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for method in ("GET", "POST"):
            for prefix in ("exec", "attach"):
                for path in ("{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"):
                    add(method, f"/{prefix}/{path}", self._command)
            for path in ("{namespace}/{pod}", "{namespace}/{pod}/{uid}"):
                add(method, f"/portForward/{path}", self._port_forward)
        for path in ("{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"):
            add("POST", f"/run/{path}", self._run)
        add("GET", "/logs", self._host_logs)
        add("GET", "/logs/{path:.*}", self._host_logs)
        add("POST", "/checkpoint/{namespace}/{pod}/{container}", self._checkpoint)

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await self._auth.check(request)
            return await handler(request)
        except Refused as e:
            return web.Response(status=e.status, text=e.text, headers=e.headers)
        except web.HTTPNotFound:
            return web.Response(status=404, text="404 page not found\n")
        except web.HTTPMethodNotAllowed as e:
            return web.Response(status=405, text="405: Method Not Allowed", headers={"Allow": e.headers.get("Allow", "")})
        except (CriError, errors.StatusError, OSError) as e:
            log.warning("%s %s: %s", request.method, request.path, e)
            return web.Response(status=500, text=str(e))
        except web.HTTPException:
            raise
        except Exception as e:  # noqa: BLE001 - the edge: a bug becomes a 500 and a logged trace
            log.exception("%s %s failed", request.method, request.path)
            return web.Response(status=500, text=str(e))

    # -- about the node --------------------------------------------------------------------------------------
    async def _healthz(self, request: web.Request) -> web.Response:
        wrong = self._host.healthy()
        if wrong:
            return web.Response(status=500, text=f"[-]{wrong}")
        return web.Response(text="ok")

    @staticmethod
    def _list(items: list[Object]) -> web.Response:
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _pods(self, request: web.Request) -> web.Response:
        return self._list(self._host.pods())

    async def _running_pods(self, request: web.Request) -> web.Response:
        return self._list(self._host.running_pods())

    async def _configz(self, request: web.Request) -> web.Response:
        return web.json_response(configz.document(self._options))

    async def _metrics(self, request: web.Request) -> web.Response:
        text = await self._host.metrics(request.match_info.get("kind", ""))
        return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _summary(self, request: web.Request) -> web.Response:
        return web.json_response(await self._host.summary())

    async def _host_logs(self, request: web.Request) -> web.StreamResponse:
        base = os.path.realpath("/var/log")
        wanted = request.match_info.get("path", "")
        if "\0" in wanted:
            raise web.HTTPNotFound
        path = os.path.realpath(os.path.join(base, wanted.lstrip("/")))
        if path != base and not path.startswith(base + "/"):
            raise web.HTTPNotFound
        if os.path.isdir(path):
            names = [n + ("/" if os.path.isdir(os.path.join(path, n)) else "") for n in sorted(os.listdir(path))]
            lines = "".join(f'<a href="{quote(n)}">{html.escape(n)}</a>\n' for n in names)
            return web.Response(text=f"<pre>\n{lines}</pre>\n", content_type="text/html")
        if not os.path.isfile(path):
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def _disabled(self, request: web.Request) -> web.Response:
        return web.Response(status=405, text="Debug endpoints are disabled.\n")

    async def _checkpoint(self, request: web.Request) -> web.Response:
        raise Refused(404, "checkpointing of containers is not supported by this kubelet\n")

    # -- about a pod -----------------------------------------------------------------------------------------
    @staticmethod
    def _where(request: web.Request) -> tuple[str, str, str]:
        info = request.match_info
        return info["namespace"], info["pod"], info.get("uid", "")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        options, previous = log_options.of(request.query, self._clock.now())
        namespace, pod, _ = self._where(request)
        chunks = await self._host.logs(namespace, pod, request.match_info["container"], options, previous=previous)
        return await _send(request, chunks)

    async def _command(self, request: web.Request) -> web.StreamResponse:
        wanted = Wanted.of(request.query)
        where, container = self._where(request), request.match_info["container"]

        async def start() -> Command:
            if request.path.startswith("/exec/"):
                return await self._host.exec(*where, container, request.query.getall("command", []), wanted)
            return await self._host.attach(*where, container, wanted)

        return await remote_command.serve(request, wanted, start,
                                          idle_timeout=self._options.streaming_connection_idle_timeout)

    async def _run(self, request: web.Request) -> web.Response:
        command = request.query.get("cmd", "").split(" ")
        return web.Response(body=await self._host.run(*self._where(request), request.match_info["container"], command),
                            content_type="application/json")

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        connect = await self._host.port_forward(*self._where(request))
        return await port_forward.serve(request, connect, idle_timeout=self._options.streaming_connection_idle_timeout)


async def _send(request: web.Request, chunks: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        log.debug("the reader of a log has gone")
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    return response
