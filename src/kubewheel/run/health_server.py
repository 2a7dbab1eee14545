"""HTTPS with health, metrics, statusz, flagz and debug pages for the controller manager and the scheduler
(--secure-port).

In: address, certificate, a client that may ask who somebody is (TokenReview) and what they may do
(SubjectAccessReview). Out: a listening server. Called by: run/alone.
"""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from kubewheel.api import build, codec, errors, features, zpages
from kubewheel.api.resource import Object
from kubewheel.client.client import Client
from kubewheel.lib import clock as clocks
from kubewheel.lib import healthz, metrics, process_metrics, profiling, tls, verbosity
from kubewheel.run import serving_tls

PATHS = ("/healthz", "/livez", "/readyz")
ANONYMOUS: Object = {"user": "system:anonymous", "groups": ["system:unauthenticated"]}


@dataclass(slots=True, kw_only=True)
class Options:
    bind_address: str = "0.0.0.0"
    port: int = 0  # 0: none
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    tls_min_version: str = ""
    client_ca: bytes = b""
    tls_cipher_suites: tuple[str, ...] = ()
    tls_sni_cert_key: tuple[str, ...] = ()
    always_allow_paths: tuple[str, ...] = ("/healthz", "/readyz", "/livez")
    profiling: bool = True
    flags: dict[str, str] = field(default_factory=dict)
    feature_gates: dict[str, bool] = field(default_factory=dict)
    configz: dict[str, Any] = field(default_factory=dict)  # the settings in force, by the name of the configuration


class HealthServer:
    """`tokens` and `access` are asked; `checks` are named functions that give "" or what is wrong."""

    def __init__(self, options: Options, *, name: str, tokens: Client, access: Client,
                 checks: dict[str, healthz.Check] | None = None) -> None:
        self._options, self._name, self._tokens, self._access = options, name, tokens, access
        self._checks: dict[str, healthz.Check] = {"ping": lambda: "", **(checks or {})}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        if not self._options.port:
            return
        process_metrics.register()
        build.record()
        features.record(self._options.feature_gates)
        app = web.Application(middlewares=[self._checked])
        for path in PATHS:
            app.router.add_get(path, self._health)
            app.router.add_get(path + "/{check:.+}", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/metrics/slis", self._metrics)
        app.router.add_get("/configz", self._configz)
        on = features.effective(self._options.feature_gates)
        for path, gate in (("/statusz", "ComponentStatusz"), ("/flagz", "ComponentFlagz")):
            if on[gate]:
                app.router.add_get(path, self._zpage)
        if self._options.profiling:
            app.router.add_route("*", "/debug/flags/v", self._verbosity)
            app.router.add_get("/debug/pprof{name:.*}", self._profile)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._options.bind_address, self._options.port, reuse_address=True,
                          ssl_context=context_of(self._options, self._name)).start()

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _checked(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not is_open(request.path, self._options.always_allow_paths):
            try:
                user = await self._who(request)
                if user is None:
                    return _status(errors.status_error(401, "Unauthorized", "Unauthorized"))
                if not await self._may(user, request):
                    return _status(errors.status_error(403, "Forbidden", (
                        f'forbidden: User "{user["user"]}" cannot {request.method.lower()} path "{request.path}"')))
            except (errors.StatusError, OSError) as e:
                return _status(errors.internal(f"cannot ask the API server: {e}"))
        return await handler(request)

    async def _who(self, request: web.Request) -> Object | None:
        """None for a token that nobody knows."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            review = await self._tokens.create("tokenreviews.authentication.k8s.io", {
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
                "spec": {"token": token}})
            status = review.get("status") or {}
            if not status.get("authenticated"):
                return None
            user = status.get("user") or {}
            return {"user": user.get("username", ""), "groups": user.get("groups") or []}
        transport = request.transport
        tls_object = transport.get_extra_info("ssl_object") if transport is not None else None
        leaf = tls_object.getpeercert() if tls_object is not None and self._options.client_ca else None
        if leaf:  # verified by TLS against the client CA
            names = [pair for part in leaf["subject"] for pair in part]
            return {"user": next((v for k, v in names if k == "commonName"), ""),
                    "groups": [v for k, v in names if k == "organizationName"] + ["system:authenticated"]}
        return ANONYMOUS

    async def _may(self, user: Object, request: web.Request) -> bool:
        if "system:masters" in user["groups"]:
            return True
        review = await self._access.create("subjectaccessreviews.authorization.k8s.io", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
            "spec": {**user, "nonResourceAttributes": {"path": request.path, "verb": request.method.lower()}}})
        return bool((review.get("status") or {}).get("allowed"))

    async def _health(self, request: web.Request) -> web.Response:
        endpoint, _, single = request.path.strip("/").partition("/")
        query = {name: request.query.getall(name) for name in request.query}
        found = await healthz.answer(endpoint, self._checks, query, single=single)
        status, text = found or (404, "404 page not found\n")
        return web.Response(status=status, text=text)

    async def _metrics(self, request: web.Request) -> web.Response:
        registry = healthz.SLIS if request.path == "/metrics/slis" else metrics.REGISTRY
        return web.Response(body=registry.render().encode(),
                            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"})

    async def _configz(self, request: web.Request) -> web.Response:
        return web.Response(body=codec.dumps(self._options.configz), headers={"Content-Type": "application/json"})

    async def _zpage(self, request: web.Request) -> web.Response:
        paths = (*PATHS, "/configz", "/metrics", "/statusz", "/flagz", *(("/debug/pprof",) if self._options.profiling else ()))
        component = zpages.Component(self._name, process_metrics.started(), build.RUNTIME, paths, self._options.flags)
        accept = request.headers.get("Accept", "")
        return _page(zpages.flagz(component, accept) if request.path == "/flagz"
                     else zpages.statusz(component, accept, clocks.RealClock().now()))

    async def _profile(self, request: web.Request) -> web.Response:
        query = {name: request.query.getall(name) for name in request.query}
        return _page(await profiling.page(request.match_info["name"], query))

    async def _verbosity(self, request: web.Request) -> web.Response:
        status, text = verbosity.put(request.method, await request.read())
        return web.Response(status=status, text=text)


def _page(page: tuple[int, str, bytes]) -> web.Response:
    status, content_type, body = page
    return web.Response(status=status, body=body, headers={"Content-Type": content_type})


def is_open(path: str, always: tuple[str, ...]) -> bool:
    return any(path == one or (one.endswith("/*") and path.startswith(one[:-1])) for one in always)


def context_of(options: Options, name: str) -> ssl.SSLContext:
    """The certificate named, or a self-signed one that lives as long as the process."""
    client_ca = options.client_ca or None
    if options.tls_cert_file:
        context = tls.server_context(Path(options.tls_cert_file), Path(options.tls_private_key_file),
                                     client_ca=client_ca)
    else:
        pair = self_signed(name)
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads files only
            cert, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
            cert.write_bytes(pair.cert)
            tls.write_private(key, pair.key)
            context = tls.server_context(cert, key, client_ca=client_ca)
    serving_tls.apply(context, min_version=options.tls_min_version, suites=options.tls_cipher_suites,
                      sni=options.tls_sni_cert_key, client_ca=client_ca)
    return context


def self_signed(name: str, *, ips: tuple[str, ...] = ()) -> tls.KeyPair:
    """Of an authority nobody keeps the key of; the chain is in the certificate's file."""
    now = clocks.RealClock().now()
    ca = tls.make_ca(f"{name}-ca", now=now)
    pair = tls.issue(ca, name, now=now, hosts=("localhost", name), ips=("127.0.0.1", *ips), server=True)
    return tls.KeyPair(pair.cert + ca.cert, pair.key)


def _status(error: errors.StatusError) -> web.Response:
    return web.json_response(error.status, status=error.code)
