"""The aggregation layer as one value: which path is whose, who is asked, start and end.

In: APIServices, the registry. Out: `route` and `handle` for requests that are not ours; discovery and OpenAPI of the
others. Called by: server.py, endpoints.py, health.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubewheel.api import catalog, errors
from kubewheel.api.apiregistration import apiservice as apiservices
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import availability, backend, proxy, registration, remote, trust
from kubewheel.apiserver.extension.aggregation.openapi import Documents
from kubewheel.apiserver.extension.aggregation.priorities import Priority
from kubewheel.client.transport import Identity, Request, Response
from kubewheel.lib.supervise import Tasks

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

log = logging.getLogger(__name__)

APISERVICES = "apiservices.apiregistration.k8s.io"


class Aggregator:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.gvr = catalog.gvr(APISERVICES)
        self.cache = server.caches.get(self.gvr)
        self.backends = backend.Backends(server)
        self.discoveries = remote.Discoveries(self.backends, server.endpoints.forget)
        self.documents = Documents(self.backends, server.endpoints.forget)
        self.availability = availability.Availability(self)
        self.registration = registration.Registration(self)
        self._remote: dict[tuple[str, str], Object] = {}
        self._groups: set[str] = set()  # of the remote ones
        self._tasks = Tasks("aggregator")
        self.progress = {name: False for name in (
            "start-cluster-authentication-info-controller", "start-kube-aggregator-informers",
            "apiservice-status-local-available-controller", "apiservice-status-remote-available-controller",
            "apiservice-registration-controller", "apiservice-discovery-controller", "kube-apiserver-autoregistration",
            "apiservice-openapi-controller", "apiservice-openapiv3-controller")}

    # -- life -----------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Returns when it is known which paths are others'."""
        self.cache.subscribe(self._apiservice_changed)
        await self.cache.wait_synced()
        self.server.registry.on_change(self.registration.look)
        for name in ("services", backend.SLICES):
            self.server.caches.get(name).subscribe(self._service_changed)
        for name in self.progress:
            self.progress[name] = True
        self.progress["start-cluster-authentication-info-controller"] = False
        self.progress["kube-apiserver-autoregistration"] = False
        self._tasks.spawn("registration", self.registration.run())
        self._tasks.spawn("trust", self._publish_trust())
        self._tasks.spawn("registered", self._registered())

    async def aclose(self) -> None:
        await self._tasks.aclose()
        await self.availability.aclose()
        await self.backends.aclose()

    async def _registered(self) -> None:
        await self.registration.done.wait()
        self.progress["kube-apiserver-autoregistration"] = True

    async def _publish_trust(self) -> None:
        while True:
            try:
                await trust.publish(self.server.client, self.server.options)
                self.progress["start-cluster-authentication-info-controller"] = True
                return
            except errors.StatusError as e:  # its namespace is made meanwhile
                if e.code not in (404, 409):
                    log.warning("publishing %s/%s: %s", trust.NAMESPACE, trust.NAME, e)
                await asyncio.sleep(0.02)

    # -- requests ---------------------------------------------------------------------------------------------------
    def route(self, path: str) -> Object | None:
        """The APIService of another server whose path this is; None: ours."""
        if not self._remote:
            return None
        parts = path.split("/", 4)
        if len(parts) >= 4 and parts[1] == "apis":
            return self._remote.get((parts[2], parts[3]))
        if len(parts) >= 3 and parts[1] == "api":
            return self._remote.get(("", parts[2]))
        return None

    def streams(self, path: str) -> bool:
        """Whether the body of such a request is to be passed on as it comes."""
        return self.route(path) is not None

    def has_group(self, group: str) -> bool:
        return group in self._groups

    async def handle(self, apiservice: Object, request: Request, user: Identity) -> Response:
        if not proxy.is_available(apiservice):
            apiservice = await self._as_stored(apiservice)
        return await proxy.handle(self.backends, apiservice, request, user,
                                  reject_redirects=self.server.options.aggregator_reject_forwarding_redirects)

    async def _as_stored(self, apiservice: Object) -> Object:
        """Who was told that it is available need not wait until our cache has heard of it."""
        await self.server.watch_cache.fresh()
        stored = self.server.watch_cache.resource(apiservices.RESOURCE.registry)
        entry = stored.entries.get(f"{stored.prefix}{apiservice['metadata']['name']}")
        return entry.obj if entry is not None else apiservice

    def priorities(self) -> dict[tuple[str, str], Priority]:
        """What the APIServices say; those of the built-ins are in the same words."""
        return {(spec.get("group", ""), spec["version"]): Priority(spec["groupPriorityMinimum"], spec["versionPriority"])
                for spec in (a["spec"] for a in self.cache.list())}

    # -- changes ----------------------------------------------------------------------------------------------------
    def _apiservice_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        assert obj is not None
        name, spec = obj["metadata"]["name"], obj["spec"]
        key = (spec.get("group", ""), spec["version"])
        if new is not None and spec.get("service"):
            self._remote[key] = new
            self.discoveries.keep(name, new)
        else:
            self._remote.pop(key, None)
            self.discoveries.forget(name)
            self.documents.forget(name)
        self._groups = {group for group, _ in self._remote}
        if new is None:
            self.availability.forget(name)
            self.registration.look()
            self.server.endpoints.forget()
        elif old is None or old["spec"] != spec:
            self.server.endpoints.forget()
            if spec.get("service") or not proxy.is_available(new):
                self.availability.look(name)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        """A Service or an EndpointSlice."""
        if not self._remote:
            return
        meta = (new or old or {})["metadata"]
        name = (meta.get("labels") or {}).get("kubernetes.io/service-name") or meta["name"]
        for apiservice in self._remote.values():
            if backend.service_of(apiservice)[:2] == (meta.get("namespace", ""), name):
                self.availability.look(apiservice["metadata"]["name"])
