"""Paths that are no resources: discovery, OpenAPI, health, version, metrics, OIDC keys. One visible table.

In: a Request. Out: a Response. Called by: server.dispatch.
"""

from __future__ import annotations

import asyncio
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


class Endpoints:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._discovery: dict[str, tuple[bytes, str, str]] = {}
        self._served: Any = None
        self._openapi: Any = None
        self.health = Health(server)
        server.registry.on_change(self.forget)

    def forget(self) -> None:
        """What is served changed: documents are made anew."""
        self._discovery.clear()
        self._served = None
        self._openapi = None

    async def handle(self, request: Request, user: Identity) -> Response:
        path = request.path.rstrip("/") or "/"
        first = path.split("/")[1]
        if first == "debug":
            return await self._debug(request, path)
        if path == "/version" and request.method != "GET":
            raise errors.not_allowed()
        if request.method not in ("GET", "HEAD") and first not in ENDPOINTS:
            return text(404, "404 page not found")
        if first in ("api", "apis"):
            return self._discover(request, path)
        if first == "openapi":
            return await self._schema(request, path)
        if first in ENDPOINTS:
            return await self.health.handle(request, path)
        if path == "/version":
            return _json(build.version())
        if path in ("/metrics", "/metrics/slis"):
            return self.health.metrics(path)
        if path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
            return self._oidc(path)
        if path in ("/statusz", "/flagz"):
            return self._zpage(path, request.headers.get("accept", ""))
        if path == "/":
            return _json({"paths": self._paths()})
        return text(404, "404 page not found")

    async def _debug(self, request: Request, path: str) -> Response:
        """/debug/pprof/… and /debug/flags/v, where --profiling is on."""
        if not self._server.options.profiling:
            return text(404, "404 page not found")
        if path.startswith("/debug/pprof") and request.method in ("GET", "HEAD", "POST"):
            return _page(await profiling.page(path.removeprefix("/debug/pprof"), request.query))
        if path == "/debug/flags/v":
            body = request.body if isinstance(request.body, bytes) else b""
            return text(*verbosity.put(request.method, body))
        if path == "/debug/flags" and request.method == "GET":
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
            known = self._discovery[key] = render.reencoded(body, form), etag, content_type
        body, etag, content_type = known
        headers = {"content-type": content_type, "vary": "Accept"}
        if form.shape:
            headers |= {"etag": etag, "cache-control": "public"}
            if request.headers.get("if-none-match") == etag:
                return Response(status=304, headers=headers, body=b"")
        return Response(body=body, headers=headers)

    async def _schema(self, request: Request, path: str) -> Response:
        from kubewheel.apiserver.extension import openapi

        if self._openapi is None:
            self._openapi = openapi.Documents(
                self._server.registry.all(), self._server.aggregator.documents.all())
        # The big documents take long to make; what is known already is quick, and the loop goes on meanwhile.
        made = await asyncio.to_thread(
            self._openapi.serve, path, request.headers.get("accept", ""), request.first("hash"),
            request.headers.get("if-none-match", ""))
        if made is None:
            return text(404, "404 page not found")
        status, headers, body = made
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
        paths = ["/.well-known/openid-configuration", "/api", *(f"/api/{v}" for v in served.groups.get("", ())), "/apis"]
        for group, versions in served.groups.items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{v}" for v in versions)]
        if self._server.options.profiling:
            paths += ["/debug/flags", "/debug/flags/v", "/debug/pprof"]
        return sorted([*paths, *self.health.paths(), "/flagz", "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3",
                       "/openid/v1/jwks", "/statusz", "/version"])


def _page(page: tuple[int, str, bytes]) -> Response:
    status, content_type, body = page
    return Response(status=status, body=body, headers={"content-type": content_type, "x-content-type-options": "nosniff"})


def _json(value: object) -> Response:
    return Response(body=codec.dumps(value), headers={"content-type": "application/json"})


def text(status: int, body: str) -> Response:
    return Response(status=status, body=body.encode() + (b"\n" if status == 404 else b""), headers={
        "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"})
