"""kube-proxy: watches Services and EndpointSlices, keeps the kernel's rules like them.

In: a Client. Out: rules by a backend, stale UDP flows ended, health answers. Called by: run.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from kubewheel.client.cache import Caches
from kubewheel.lib import metrics
from kubewheel.lib.supervise import Tasks
from kubewheel.proxy import model

log = logging.getLogger(__name__)

SYNC = metrics.REGISTRY.histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds",
    buckets=tuple(0.001 * 2**i for i in range(15)))


class Backend(Protocol):
    async def apply(self, rules: model.Ruleset) -> None: ...


@dataclass(slots=True, kw_only=True)
class Options:
    node_name: str
    healthz_bind_address: str = "0.0.0.0"
    healthz_port: int = 10256  # 0: none
    metrics_bind_address: str = "127.0.0.1"
    metrics_port: int = 10249
    min_sync_period: float = 0.02  # seconds between two transactions; upstream's 1s would delay a pod's removal
    configz: dict[str, Any] = field(default_factory=dict)  # the settings in force, as /configz shows them
    sync_period: float = 30.0  # all is written again, in case somebody else changed the rules


class Proxier:
    def __init__(self, caches: Caches, backend: Backend, options: Options) -> None:
        self._backend = backend
        self._options = options
        self._services = caches.get("services")
        self._slices = caches.get("endpointslices.discovery.k8s.io")
        self._nodes = caches.get("nodes", field_selector=f"metadata.name={options.node_name}")
        self._dirty = asyncio.Event()
        self._tasks = Tasks("proxy")
        self._last = model.Ruleset()
        self._checks: dict[int, tuple[web.AppRunner, model.HealthPort]] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        for cache in (self._services, self._slices, self._nodes):
            cache.subscribe(lambda old, new: self._dirty.set())
            await cache.wait_synced()
        runners = await self._serve()
        try:
            await self._sync_for_ever()
        finally:
            for runner in [*runners, *(r for r, _ in self._checks.values())]:
                await runner.cleanup()
            await self._tasks.aclose()

    async def _sync_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._dirty.clear()
            started = loop.time()
            try:
                await self.sync()
                delay = self._options.min_sync_period
            except Exception:  # noqa: BLE001 - the rules stay as they were; tried again soon
                log.exception("the proxy rules were not written")
                self._dirty.set()
                delay = 2.0
            SYNC.observe(loop.time() - started)
            await asyncio.sleep(delay)
            try:
                async with asyncio.timeout(self._options.sync_period):
                    await self._dirty.wait()
            except TimeoutError:
                self._last = model.Ruleset()

    async def sync(self) -> None:
        node = self._nodes.get(None, self._options.node_name)
        zone = ((node or {}).get("metadata", {}).get("labels") or {}).get("topology.kubernetes.io/zone", "")
        rules = model.build(self._services.list(), self._slices.list(), node_name=self._options.node_name, zone=zone)
        if rules != self._last or not self.synced.is_set():
            await self._backend.apply(rules)
            await self._end_stale_flows(self._last, rules)
            await self._serve_health_ports(rules)
            self._last = rules
        self.synced.set()

    async def _end_stale_flows(self, old: model.Ruleset, new: model.Ruleset) -> None:
        """UDP has no end of connection: flows to endpoints that went away, or that began before there were any,
        are removed from conntrack so that the next packet is sent anew."""
        for address, port, endpoint in stale_udp(old, new):
            argv = ["conntrack", "-D", "-p", "udp", "--orig-dst", address, "--orig-port-dst", str(port)]
            if endpoint:
                argv += ["--dst-nat", endpoint]
            process = await asyncio.create_subprocess_exec(
                *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
            await process.wait()  # 1 means that there was no such flow

    # -- health ---------------------------------------------------------------------------------------------------
    async def _serve(self) -> list[web.AppRunner]:
        options, runners = self._options, []
        if options.healthz_port:
            app = web.Application()
            app.router.add_get("/healthz", self._healthz)
            app.router.add_get("/livez", self._healthz)
            runners.append(await _listen(app, options.healthz_bind_address, options.healthz_port))
        if options.metrics_port:
            app = web.Application()
            app.router.add_get("/metrics", _metrics)
            app.router.add_get("/healthz", self._healthz)
            app.router.add_get("/proxyMode", _mode)
            app.router.add_get("/configz", self._configz)
            runners.append(await _listen(app, options.metrics_bind_address, options.metrics_port))
        return runners

    async def _configz(self, request: web.Request) -> web.Response:
        return web.json_response(self._options.configz)

    async def _healthz(self, request: web.Request) -> web.Response:
        good = self.synced.is_set()
        return web.json_response({"healthy": good, "nodeEligible": True}, status=200 if good else 503)

    async def _serve_health_ports(self, rules: model.Ruleset) -> None:
        wanted = {h.port: h for h in rules.health}
        for port in [p for p in self._checks if p not in wanted]:
            runner, _ = self._checks.pop(port)
            await runner.cleanup()
        for port, health in wanted.items():
            if port in self._checks:
                self._checks[port] = (self._checks[port][0], health)
                continue
            app = web.Application()
            app.router.add_get("/{path:.*}", lambda request, port=port: self._service_health(port))  # type: ignore[misc]
            try:
                self._checks[port] = (await _listen(app, "0.0.0.0", port), health)
            except OSError as e:
                log.warning("health check port %d of %s: %s", port, health.service, e)

    async def _service_health(self, port: int) -> web.Response:
        health = self._checks[port][1]
        namespace, _, name = health.service.partition("/")
        return web.json_response({"service": {"namespace": namespace, "name": name}, "localEndpoints": health.local,
                                  "serviceProxyHealthy": self.synced.is_set()}, status=200 if health.local else 503)


def stale_udp(old: model.Ruleset, new: model.Ruleset) -> list[tuple[str, int, str]]:
    """(service address, port, endpoint or "") of UDP flows that must end."""
    now = {p.name: p for p in new.ports if p.protocol == "udp"}
    out = []
    for before in old.ports:
        if before.protocol != "udp":
            continue
        after = now.get(before.name)
        kept = {e.ip for e in after.cluster} if after else set()
        out += [(before.cluster_ip, before.port, e.ip) for e in before.cluster if e.ip not in kept]
    for name, after in now.items():
        earlier = next((p for p in old.ports if p.name == name and p.protocol == "udp"), None)
        if after.cluster and (earlier is None or not earlier.cluster):
            out.append((after.cluster_ip, after.port, ""))
    return out


async def _listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    return runner


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(text=metrics.REGISTRY.render(), content_type="text/plain")


async def _mode(request: web.Request) -> web.Response:
    return web.Response(text="nftables")
