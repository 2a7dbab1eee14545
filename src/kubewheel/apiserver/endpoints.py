"""Paths that are no resources: discovery, OpenAPI, health, version, metrics, OIDC keys. One visible table.

In: a Request. Out: a Response. Called by: server.dispatch.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
from typing import TYPE_CHECKING, Any

from kubewheel.api import build, codec, errors, zpages
from kubewheel.apiserver import media_types, render
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.apiserver.authn import service_account
from kubewheel.apiserver.health import ENDPOINTS, Health
from kubewheel.client.transport import Identity, Request, Response
from kubewheel.lib import process_metrics, profiling, verbosity

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


_OIDC = ("/.well-known/openid-configuration", "/openid/v1/jwks")


class Endpoints:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._discovery: dict[str, tuple[bytes, str, str]] = {}
        self._served: Any = None
        self._openapi: Any = None
        self._openapi_since = 0.0
        self.health = Health(server)
        server.registry.on_change(self.forget)

    def forget(self) -> None:
        """What is served changed: documents are made anew."""
        self._discovery.clear()
        self._served = None
        self._openapi = None

    async def handle(self, request: Request, user: Identity) -> Response:
        if self._is_claimed(request.path):
            return self._route(request)
        return await self._plain(request)

    # -- routes: one method, one path -----------------------------------------------------------------------------
    def _is_claimed(self, path: str) -> bool:
        """Whether the path is below one of the routes, whose misses are Status objects. Groups and /apis are answered
        by plain handlers, so are the versions of custom resources: any method will do, and a slash at the end."""
        first, *rest = path.strip("/").split("/")
        if first != "apis":
            return first in ("version", "api") or path.startswith(_OIDC)
        if len(rest) < 2:
            return False
        served = self._discovered()
        if (rest[0], rest[1]) in served.local:
            return bool(served.local[rest[0], rest[1]][0].custom is None)
        return any(r.custom is None for (group, _), found in served.local.items() if group == rest[0] for r in found)

    def _route(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path == "/version":
            answer = _json(build.version())
        elif path in _OIDC:
            answer = self._oidc(path)
        elif path.startswith("/api") and self._has(path):
            _offered(request)
            answer = self._discover(request, path)
        else:
            raise errors.page_not_found()
        if request.method != "GET":
            raise errors.not_allowed()
        return answer

    def _has(self, path: str) -> bool:
        """Whether it is `/api`, or a group version's path."""
        parts = path[1:].split("/")
        if len(parts) == 2 and parts[0] == "api":
            return ("", parts[1]) in self._discovered().local
        return parts == ["api"] or len(parts) == 3 and (parts[1], parts[2]) in self._discovered().local

    # -- plain handlers: any method -------------------------------------------------------------------------------
    async def _plain(self, request: Request) -> Response:
        path = request.path
        first = path.split("/")[1]
        if first == "debug":
            return await self._debug(request, path)
        if first == "apis":
            return self._discover(request, path.rstrip("/"))
        if first == "openapi":
            return await self._schema(request, path)
        if first in ENDPOINTS:
            return await self.health.handle(request, path)
        if path in ("/metrics", "/metrics/slis"):
            return self.health.metrics(path)
        if path in ("/statusz", "/flagz"):
            return self._zpage(path, request.headers.get("accept", ""))
        if path in ("/", "/index.html"):
            return Response(body=json.dumps({"paths": self._paths()}, indent=2).encode(),
                            headers={"content-type": "application/json"})
        return text(404, "404 page not found")

    async def _debug(self, request: Request, path: str) -> Response:
        """/debug/pprof/… and /debug/flags/v, where --profiling is on."""
        if not self._server.options.profiling:
            return text(404, "404 page not found")
        if path == "/debug/pprof":
            return Response(status=302, headers={"location": "/debug/pprof/", "content-type": "text/html; charset=utf-8"},
                            body=b'<a href="/debug/pprof/">Found</a>.\n\n')
        if path.startswith("/debug/pprof/"):
            return _page(await profiling.page(path.removeprefix("/debug/pprof"), request.query))
        if path == "/debug/flags/v":
            body = request.body if isinstance(request.body, bytes) else b""
            return text(*verbosity.put(request.method, body))
        if path == "/debug/flags":
            return text(200, "\n/debug/flags/v\n")
        return text(404, "404 page not found")

    def _zpage(self, path: str, accept: str) -> Response:
        component = zpages.Component("kube-apiserver", process_metrics.started(), build.RUNTIME, tuple(self._paths()),
                                     self._server.options.flags)
        if path == "/flagz":
            return _page(zpages.flagz(component, accept))
        return _page(zpages.statusz(component, accept, self._server.clock.now()))

    async def unknown(self, request: Request, info: RequestInfo, user: Identity) -> Response:
        """A resource path that nobody serves."""
        # Groups of custom resources have no routes of their own, so their misses are the last handler's.
        if not any(r.custom is None for r in self._server.registry.of_version(info.group, info.version)):
            return text(404, "404 page not found")
        raise errors.page_not_found()

    def _discovered(self) -> Any:
        from kubewheel.apiserver.extension import discovery

        if self._served is None:
            aggregator = self._server.aggregator
            self._served = discovery.Served(self._server.registry.all(), aggregator.discoveries.all(), aggregator.priorities())
        return self._served

    def _discover(self, request: Request, path: str) -> Response:
        from kubewheel.apiserver.extension import discovery

        offer = media_types.DISCOVERY if path in ("/api", "/apis") else media_types.PLAIN
        form = render.negotiate(request, offer)
        key = f"{path}?{form}"
        known = self._discovery.get(key)
        if known is None:
            options = self._server.options
            made = discovery.document(self._discovered(), path, aggregated=bool(form.shape),
                                      server_address=f"{options.advertise_address}:{options.secure_port}")
            if made is None:
                return text(404, "404 page not found")
            body, etag, content_type = made
            content_type = content_type.replace(media_types.JSON, form.content_type)
            body = render.reencoded(body, form)
            if form.format == "json" and not form.pretty:
                body += b"\n"
            known = self._discovery[key] = body, etag, content_type
        body, etag, content_type = known
        headers = {"content-type": content_type}
        if form.shape:
            headers |= {"etag": etag, "vary": "Accept", "cache-control": "public"}
            if request.headers.get("if-none-match") == etag:
                return Response(status=304, headers=headers, body=b"")
        return Response(body=body, headers=headers)

    async def _schema(self, request: Request, path: str) -> Response:
        from kubewheel.apiserver.extension import openapi

        now = self._server.clock.now()
        if self._openapi is None:
            self._openapi = openapi.Documents(
                self._server.registry.all(), self._server.aggregator.documents.all())
            self._openapi_since = now
        # The big documents take long to make; what is known already is quick, and the loop goes on meanwhile.
        made = await asyncio.to_thread(
            self._openapi.serve, path, request.headers.get("accept", ""), request.first("hash"),
            request.headers.get("if-none-match", ""))
        if made is None:
            return Response(status=404) if path.startswith("/openapi/v3/") else text(404, "404 page not found")
        status, headers, body = made
        if status in (200, 304):
            headers["last-modified"] = email.utils.formatdate(self._openapi_since, usegmt=True)
        if "cache-control" in headers:  # for a year, as good as for ever
            headers["expires"] = email.utils.formatdate(now + 365 * 86400, usegmt=True)
        return Response(status=status, headers=headers, body=body)

    def _oidc(self, path: str) -> Response:
        accounts = self._server.authenticator.service_accounts
        assert accounts is not None
        if path.endswith("jwks"):
            return Response(body=codec.dumps(service_account.jwks(accounts.keys)),
                            headers={"content-type": "application/jwk-set+json"})
        options = self._server.options
        host = options.external_hostname or options.advertise_address
        jwks_uri = options.service_account_jwks_uri or f"https://{host}:{options.secure_port}/openid/v1/jwks"
        return _json(service_account.openid_configuration(accounts.issuer, jwks_uri, accounts.keys))

    def _paths(self) -> list[str]:
        served = self._discovered()
        paths = [*_OIDC, "/api", *(f"/api/{v}" for v in served.groups.get("", ())), "/apis", "/apis/"]
        for group, versions in served.groups.items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{v}" for v in versions)]
        return sorted([*paths, *self.health.paths(), "/flagz", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3",
                       "/openapi/v3/", "/statusz", "/version"])


def _offered(request: Request) -> None:
    """The routes' own look at the Accept header, which knows names of media types and no more. StatusError 406."""
    accept = request.headers.get("accept", "")
    named = {part.partition(";")[0].strip() for part in accept.split(",")}
    if accept and not named & {"*/*", *media_types.ALL}:
        error = errors.status_error(406, "NotAcceptable", "406: Not Acceptable\n\nAvailable representations: "
                                    + ", ".join(media_types.ALL))
        error.status["details"] = {}
        raise error


def _page(page: tuple[int, str, bytes]) -> Response:
    status, content_type, body = page
    return Response(status=status, body=body, headers={"content-type": content_type, "x-content-type-options": "nosniff"})


def _json(value: object) -> Response:
    return Response(body=codec.dumps(value), headers={"content-type": "application/json"})


def text(status: int, body: str) -> Response:
    return Response(status=status, body=body.encode() + (b"\n" if status == 404 else b""), headers={
        "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"})
