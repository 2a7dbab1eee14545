"""/healthz, /livez, /readyz: the API server's named checks; /metrics and /metrics/slis.

In: the server. Out: upstream's texts. Called by: endpoints.py. The format is lib/healthz's.
Every check looks at something real: what upstream checks and is not here (priority and fairness) is not listed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubewheel.client.transport import Request, Response
from kubewheel.lib import healthz, metrics
from kubewheel.lib.healthz import Check

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

ENDPOINTS = ("healthz", "livez", "readyz")
STORE_SECONDS = 2.0  # --etcd-healthcheck-timeout, --etcd-readycheck-timeout
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_TEXT = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
# Post-start hooks in upstream's order; those that are not here are left out when they are listed.
HOOKS = (
    "start-apiserver-admission-initializer", "generic-apiserver-start-informers", "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter", "storage-object-count-tracker-hook", "start-apiextensions-informers",
    "start-apiextensions-controllers", "crd-informer-synced", "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller", "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector", "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers", "rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer", "bootstrap-controller", "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers", "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller", "apiservice-registration-controller",
    "apiservice-discovery-controller", "kube-apiserver-autoregistration", "apiservice-openapi-controller",
    "apiservice-openapiv3-controller")
_STARTED = ("start-apiserver-admission-initializer", "generic-apiserver-start-informers", "start-apiextensions-informers",
            "start-apiextensions-controllers", "crd-informer-synced")


class Health:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._began = asyncio.get_running_loop().time()
        self.started = False
        self.stopping = False

    # -- checks -----------------------------------------------------------------------------------------------------
    def checks(self, endpoint: str) -> dict[str, Check]:
        """Name -> what tells "" or what is wrong, in the order shown."""
        found: dict[str, Check] = {"ping": lambda: "", "log": _log, "etcd": self._store}
        if endpoint == "readyz":
            found["etcd-readiness"] = self._store
        hooks = self.hooks()
        if endpoint == "livez" and asyncio.get_running_loop().time() - self._began < self._server.options.livez_grace_period:
            hooks = dict.fromkeys(hooks, True)
        order = {name: i for i, name in enumerate(HOOKS)}
        for name in sorted(hooks, key=lambda n: order.get(n, len(order))):
            found[f"poststarthook/{name}"] = lambda done=hooks[name]: "" if done else "not finished"  # type: ignore[misc]
            if name == "generic-apiserver-start-informers" and endpoint == "readyz":
                found["informer-sync"] = self._informers
            if name == "kube-apiserver-autoregistration":
                found["autoregister-completion"] = self._registered
        if endpoint == "readyz":
            found["shutdown"] = lambda: "process is shutting down" if self.stopping else ""
        return found

    def hooks(self) -> dict[str, bool]:
        server = self._server
        return {**dict.fromkeys(_STARTED, self.started), **server.bootstrap.progress, **server.aggregator.progress}

    async def _store(self) -> str:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._server.store.get("/registry/health")
        except TimeoutError:
            return "error getting data from etcd: context deadline exceeded"
        except Exception as e:  # noqa: BLE001 - whatever a store raises: it cannot be read
            return f"error getting data from etcd: {e}"
        return ""

    def _informers(self) -> str:
        missing = self._server.caches.unsynced()
        return f"{len(missing)} informers not started yet: {missing}" if missing else ""

    def _registered(self) -> str:
        """Whether what is built in has its APIServices."""
        registration = self._server.aggregator.registration
        if registration.done.is_set():
            return ""
        return f"missing APIService: {sorted(registration.missing())}"

    # -- answers ----------------------------------------------------------------------------------------------------
    def paths(self) -> list[str]:
        return [p for e in ENDPOINTS for p in (f"/{e}", *(f"/{e}/{c}" for c in self.checks(e)))]

    def metrics(self, path: str) -> Response:
        registry = healthz.SLIS if path == "/metrics/slis" else metrics.REGISTRY
        return Response(body=registry.render().encode(), headers={"content-type": METRICS_TYPE})

    async def handle(self, request: Request, path: str) -> Response:
        endpoint, slash, single = path.removeprefix("/").partition("/")
        if slash and not single:
            return Response(status=404, body=b"404 page not found\n", headers=dict(_TEXT))
        found = await healthz.answer(endpoint, self.checks(endpoint), request.query, single=single)
        status, body = found or (404, "404 page not found\n")
        headers = {"content-type": _TEXT["content-type"]} if single and status == 200 else dict(_TEXT)
        return Response(status=status, body=body.encode(), headers=headers)


def _log() -> str:
    """A log handler whose lock cannot be had is stuck, and everybody who logs with it."""
    for handler in logging.getLogger().handlers:
        if handler.lock is not None:
            if not handler.lock.acquire(timeout=0.1):
                return f"logging blocked: {handler!r}"
            handler.lock.release()
    return ""
