"""Paths that are no resources: discovery, OpenAPI, health, version, metrics, OIDC keys. One visible table.

In: a Request. Out: a Response. Called by: server.dispatch.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kubewheel.api import codec, errors
from kubewheel.apiserver import media_types, render
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.apiserver.authn import service_account
from kubewheel.apiserver.health import Health
from kubewheel.client.transport import Identity, Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


class Endpoints:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._discovery: dict[str, tuple[bytes, str, str]] = {}
        self._openapi: Any = None
        self.health = Health(server)
        server.registry.on_change(self._forget)

    def _forget(self) -> None:
        self._discovery.clear()
        self._openapi = None

    async def handle(self, request: Request, user: Identity) -> Response:
        from kubewheel.apiserver.extension import discovery

        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            return text(404, "404 page not found")
        first = path.split("/")[1]
        if first in ("api", "apis"):
            return self._discover(request, path)
        if first == "openapi":
            return await self._schema(request, path)
        if first in ("healthz", "livez", "readyz"):
            return await self.health.handle(request, path)
        if path == "/version":
            return _json(discovery.version())
        if path == "/metrics":
            return Response(body=self.health.metrics().encode(), headers={
                "content-type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"})
        if path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
            return self._oidc(path)
        if path == "/":
            return _json({"paths": self._paths()})
        return text(404, "404 page not found")

    async def unknown(self, request: Request, info: RequestInfo, user: Identity) -> Response:
        """A resource path that nobody serves."""
        # Groups of custom resources have no routes of their own, so their misses are the last handler's.
        if not any(r.custom is None for r in self._server.registry.of_version(info.group, info.version)):
            return text(404, "404 page not found")
        raise errors.page_not_found()

    def _discover(self, request: Request, path: str) -> Response:
        from kubewheel.apiserver.extension import discovery

        offer = media_types.DISCOVERY if path in ("/api", "/apis") else media_types.PLAIN
        form = render.negotiate(request, offer)
        key = f"{path}?{form}"
        known = self._discovery.get(key)
        if known is None:
            made = discovery.document(self._server.registry.all(), path, aggregated=bool(form.shape),
                                      server_address=f"{self._server.options.advertise_address}:{self._server.options.secure_port}")
            if made is None:
                return text(404, "404 page not found")
            body, etag, content_type = made
            content_type = content_type.replace(media_types.JSON, form.content_type)
            known = self._discovery[key] = render.reencoded(body, form), etag, content_type
        body, etag, content_type = known
        headers = {"content-type": content_type, "vary": "Accept"}
        if form.shape:
            headers["etag"] = etag
            if etag and request.headers.get("if-none-match") == etag:
                return Response(status=304, headers=headers, body=b"")
        return Response(body=body, headers=headers)

    async def _schema(self, request: Request, path: str) -> Response:
        from kubewheel.apiserver.extension import openapi

        if self._openapi is None:
            self._openapi = openapi.Documents(self._server.registry.all())
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
        jwks_uri = f"https://{options.advertise_address}:{options.secure_port}/openid/v1/jwks"
        return _json(service_account.openid_configuration(accounts.issuer, jwks_uri, accounts.keys))

    def _paths(self) -> list[str]:
        groups = sorted({(r.group, r.version) for r in self._server.registry.all() if r.group})
        paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis"]
        for group in sorted({g for g, _ in groups}):
            paths.append(f"/apis/{group}")
            paths += [f"/apis/{g}/{v}" for g, v in groups if g == group]
        return [*paths, *self.health.paths(), "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/version"]


def _json(value: object) -> Response:
    return Response(body=codec.dumps(value), headers={"content-type": "application/json"})


def text(status: int, body: str) -> Response:
    return Response(status=status, body=body.encode() + (b"\n" if status == 404 else b""), headers={
        "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"})
