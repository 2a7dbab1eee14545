"""What the API server makes of its own accord once it serves: system namespaces, policy, priority classes,
the `kubernetes` Service and its endpoints. Each is a named post-start hook shown by /readyz.

In: the server's loopback client. Out: objects, created or repaired. Called by: server.start.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver import flow_defaults
from kubewheel.apiserver.admission import priority
from kubewheel.apiserver.allocators import addresses, ranges
from kubewheel.apiserver.authz import reconcile_policy
from kubewheel.lib import clock as clocks
from kubewheel.lib.supervise import Tasks, keep_running

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

log = logging.getLogger(__name__)

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")


class Bootstrap:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks = Tasks("bootstrap")
        self._hooks: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
            ("start-system-namespaces-controller", self._namespaces),
            ("rbac/bootstrap-roles", self._roles),
            ("scheduling/bootstrap-system-priority-classes", self._priorities),
            ("start-service-ip-repair-controllers", self._service_cidr),
            ("bootstrap-controller", self._kubernetes_service),
            ("start-legacy-token-tracking-controller", self._token_tracking),
            ("priority-and-fairness-config-producer", self._flow_defaults),
            ("priority-and-fairness-config-consumer", self._dangling),
        )
        self.progress = {name: False for name, _ in self._hooks}

    async def start(self) -> None:
        await self._namespaces()
        self._tasks.spawn("hooks", self._run())
        self._tasks.spawn("events", self._expire_events())
        self._tasks.spawn("flow-control", self._keep_flow_defaults())
        keeper = addresses.AddressKeeper(self._server.client, self._server.caches)
        self._tasks.spawn("addresses", keep_running("addresses", keeper.run))

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def wait_ready(self) -> None:
        """Returns when every post-start hook is done, the aggregation layer's too."""
        while not all(self._server.endpoints.health.hooks().values()):
            await asyncio.sleep(0.01)

    async def _run(self) -> None:
        for name, hook in self._hooks:
            while not self.progress[name]:
                try:
                    await hook()
                    self.progress[name] = True
                except errors.StatusError as e:
                    if e.code not in (409, 429, 503, 504):
                        raise
                    await asyncio.sleep(0.5)

    async def _namespaces(self) -> None:
        for name in SYSTEM_NAMESPACES:
            if await self._server.client.find("namespaces", name) is None:
                await self._create("namespaces", {"metadata": {"name": name}})

    async def _roles(self) -> None:
        await reconcile_policy.reconcile(self._server.client)

    async def _priorities(self) -> None:
        await priority.ensure_system_classes(self._server.client)

    async def _flow_defaults(self) -> None:
        await flow_defaults.ensure(self._server.client)

    async def _dangling(self) -> None:
        await flow_defaults.tell_dangling(self._server.client, clocks.rfc3339(self._server.clock.now()))

    async def _keep_flow_defaults(self) -> None:
        """Every minute, as upstream; a round is left out when nobody has written since the last one."""
        seen: tuple[int, ...] = ()
        while True:
            await asyncio.sleep(60.0)
            now = self._flow_state()
            if now == seen or not all(self.progress.values()):
                continue
            try:
                await self._flow_defaults()
                await self._dangling()
                seen = self._flow_state()
            except errors.StatusError as e:
                log.warning("flow control defaults: %s", e)

    def _flow_state(self) -> tuple[int, ...]:
        caches = [self._server.watch_cache.resource(r) for r in ("flowschemas", "prioritylevelconfigurations")]
        return tuple(n for c in caches for n in (len(c.entries), max((e.revision for e in c.entries.values()), default=0)))

    async def _service_cidr(self) -> None:
        """The range the server allocates from, as the object `kubernetes` (KEP-1880)."""
        cidrs = [str(n) for n in ranges.parse(self._server.options.service_cluster_ip_range)]
        if await self._server.client.find("servicecidrs.networking.k8s.io", "kubernetes") is None:
            await self._create("servicecidrs.networking.k8s.io", {
                "metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}})

    async def _token_tracking(self) -> None:
        """Since when secret-based tokens are tracked: the legacy token cleaner goes by it (KEP-2799)."""
        name, namespace = "kube-apiserver-legacy-service-account-token-tracking", "kube-system"
        if await self._server.client.find("configmaps", name, namespace=namespace) is None:
            since = clocks.rfc3339(self._server.clock.now())[:10]
            await self._create("configmaps", {"metadata": {"name": name, "namespace": namespace}, "data": {"since": since}})

    async def _kubernetes_service(self) -> None:
        options = self._server.options
        if not options.publish_kubernetes_service:
            return
        address = str(ranges.parse(options.service_cluster_ip_range)[0][1])
        client = self._server.client
        if await client.find("services", "kubernetes", namespace="default") is None:
            await self._create("services", {
                "metadata": {"name": "kubernetes", "namespace": "default",
                             "labels": {"component": "apiserver", "provider": "kubernetes"}},
                "spec": {"clusterIP": address, "type": "ClusterIP", "sessionAffinity": "None", "ports": [
                    {"name": "https", "port": options.kubernetes_service_port, "protocol": "TCP",
                     "targetPort": options.secure_port}]}})
        if ipaddress.ip_address(options.advertise_address).is_loopback:
            return  # no endpoint may be a loopback address: where that is all there is, the Service has none
        await self._publish("endpoints", {
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "kubernetes", "namespace": "default",
                         "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": options.advertise_address}],
                         "ports": [{"name": "https", "port": options.secure_port, "protocol": "TCP"}]}]}, ("subsets",))
        await self._publish("endpointslices.discovery.k8s.io", {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default",
                         "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4", "endpoints": [{"addresses": [options.advertise_address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": options.secure_port, "protocol": "TCP"}]}, ("endpoints", "ports"))

    async def _publish(self, resource: str, obj: Object, fields: tuple[str, ...]) -> None:
        meta = obj["metadata"]
        live = await self._server.client.find(resource, meta["name"], namespace=meta["namespace"])
        if live is None:
            await self._create(resource, obj)
        elif any(live.get(f) != obj[f] for f in fields):
            await self._server.client.update(resource, {**live, **{f: obj[f] for f in fields}})

    async def _create(self, resource: str, obj: Object) -> None:
        try:
            await self._server.client.create(resource, obj)
        except errors.StatusError as e:
            if e.code != 409:
                raise

    async def _expire_events(self) -> None:
        """Events live --event-ttl (one hour upstream, by etcd leases; here by age of the last write)."""
        from kubewheel.storage import store as stores

        server = self._server
        while True:
            await asyncio.sleep(min(60.0, server.options.event_ttl / 4))
            oldest = server.clock.now() - server.options.event_ttl
            hub = server.registry.by_kind("", "Event")
            if hub is None:
                continue
            for entry in list(server.watch_cache.resource(hub.registry).entries.values()):
                obj = entry.obj
                stamp = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
                if stamp and clocks.parse_time(stamp) < oldest:
                    try:
                        await server.store.delete(entry.key, expected=entry.revision)
                    except stores.Conflict:
                        continue  # written again meanwhile: it lives on
