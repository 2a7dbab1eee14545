"""Condition Available of APIServices.

In: APIServices, Services, EndpointSlices, and what extension servers answer to `/apis/<group>/<version>`. Out: the
condition, with upstream's reasons and messages; discovery refreshed. Called by: aggregator.py.
One task per APIService: it looks when something changed, and every 30 s; after a failure sooner.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubewheel.api import codec, conditions, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import backend, resolver
from kubewheel.lib import clock as clocks
from kubewheel.lib import metrics
from kubewheel.lib.supervise import Tasks

if TYPE_CHECKING:
    from kubewheel.apiserver.extension.aggregation.aggregator import Aggregator

log = logging.getLogger(__name__)

RESYNC = 30.0  # seconds
FIRST_DELAY = 0.05
CHECK_SECONDS = 5.0
UNAVAILABLE = metrics.REGISTRY.gauge(
    "aggregator_unavailable_apiservice", "Gauge of APIServices which are marked as unavailable broken down by APIService "
    "name.", "name")
UNAVAILABLE_TOTAL = metrics.REGISTRY.counter(
    "aggregator_unavailable_apiservice_total", "Counter of APIServices which are marked as unavailable broken down by "
    "APIService name and reason.", "name", "reason")
Verdict = tuple[str, str, str]  # status, reason, message
LOCAL: Verdict = ("True", "Local", "Local APIServices are always available")
PASSED: Verdict = ("True", "Passed", "all checks passed")


def verdict(apiservice: Object, service: Object | None, slices: list[Object]) -> Verdict | None:
    """What can be told without asking the extension server; None: it is to be asked."""
    namespace, name, port = backend.service_of(apiservice)
    where = f'service/{name} in "{namespace}"'
    if service is None:
        return "False", "ServiceNotFound", f"{where} is not present"
    if (service["spec"].get("type") or "ClusterIP") != "ClusterIP":
        return None
    listening = resolver.port_of(service, port)
    if listening is None:
        return "False", "ServicePortError", f"{where} is not listening on port {port}"
    if not slices:
        return "False", "EndpointsNotFound", f"cannot find endpointslices for {where}"
    port_name = listening.get("name") or ""
    if not any(_serves(s, port_name) for s in slices):
        return "False", "MissingEndpoints", f'endpointslices for {where} have no addresses with port name "{port_name}"'
    return None


def _serves(piece: Object, port_name: str) -> bool:
    return any(resolver.is_ready(e) for e in piece.get("endpoints") or ()) and any(
        (p.get("name") or "") == port_name and p.get("port") for p in piece.get("ports") or ())


def with_condition(apiservice: Object, found: Verdict, now: float) -> Object | None:
    """The APIService with the condition; None where it says so already."""
    old = conditions.find(apiservice, "Available")
    status, reason, message = found
    if old is not None and (old.get("status"), old.get("reason"), old.get("message")) == found:
        return None
    since = old["lastTransitionTime"] if old is not None and old.get("status") == status else clocks.rfc3339(now)
    made = codec.copy(apiservice)
    kept = [c for c in (made.get("status") or {}).get("conditions") or () if c.get("type") != "Available"]
    made["status"] = {**(made.get("status") or {}), "conditions": [*kept, {
        "type": "Available", "status": status, "lastTransitionTime": since, "reason": reason, "message": message}]}
    return made


class Availability:
    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._server = aggregator.server
        self._tasks = Tasks("apiservice-availability")
        self._watched: dict[str, tuple[asyncio.Task[object], asyncio.Event]] = {}

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def look(self, name: str) -> None:
        """Something about the APIService changed, or it is new."""
        if name not in self._watched:
            wake = asyncio.Event()
            self._watched[name] = (self._tasks.spawn(name, self._run(name, wake)), wake)
        self._watched[name][1].set()

    def forget(self, name: str) -> None:
        if (known := self._watched.pop(name, None)) is not None:
            known[0].cancel()
            UNAVAILABLE.values.pop((name,), None)

    async def _run(self, name: str, wake: asyncio.Event) -> None:
        delay = FIRST_DELAY
        while True:
            wake.clear()
            pause = RESYNC
            try:
                if await self._check(name):
                    delay = FIRST_DELAY
                else:
                    pause, delay = delay, min(delay * 2, RESYNC)
            except errors.StatusError as e:
                if e.code not in (404, 409):
                    log.warning("apiservice %s: %s", name, e)
                pause, delay = delay, min(delay * 2, RESYNC)
            if wake.is_set():
                continue
            try:
                async with asyncio.timeout(pause):
                    await wake.wait()
            except TimeoutError:
                continue

    async def _check(self, name: str) -> bool:
        """Whether it is well; writes the condition where it changed."""
        apiservice = self._aggregator.cache.get(None, name)
        if apiservice is None:
            return True
        if not (apiservice["spec"].get("service")):
            await self._tell(apiservice, LOCAL)
            return True
        namespace, service, _ = backend.service_of(apiservice)
        backends = self._aggregator.backends
        found = verdict(apiservice, self._server.caches.get("services").get(namespace, service),
                        backends.slices(namespace, service)) or await self._ask(apiservice)
        if found == PASSED:  # first: who sees it available finds it in discovery
            await self._aggregator.discoveries.refresh(apiservice)
        else:
            self._aggregator.discoveries.stale(name)
        await self._tell(apiservice, found)
        if found == PASSED:
            await self._aggregator.documents.refresh(apiservice)
        return found == PASSED or found[1] != "FailedDiscoveryCheck"

    async def _ask(self, apiservice: Object) -> Verdict:
        """Whoever owns the network may lie here: the certificate is not verified, nothing is made of the answer."""
        spec, backends = apiservice["spec"], self._aggregator.backends
        path = f"/apis/{spec['group']}/{spec['version']}" if spec.get("group") else f"/api/{spec['version']}"
        try:
            url = backends.url(apiservice, path)
        except backend.Unreachable as e:
            return "False", "FailedDiscoveryCheck", str(e)
        try:
            status, _, _ = await backends.fetch(apiservice, path, accept="*/*", insecure=True, seconds=CHECK_SECONDS)
        except backend.Unreachable as e:
            return "False", "FailedDiscoveryCheck", f"failing or missing response from {url}: {e}"
        if not 200 <= status < 300:
            return "False", "FailedDiscoveryCheck", (
                f"failing or missing response from {url}: bad status from {url}: {status}")
        return PASSED

    async def _tell(self, apiservice: Object, found: Verdict) -> None:
        name = apiservice["metadata"]["name"]
        UNAVAILABLE.set(0 if found[0] == "True" else 1, name)
        made = with_condition(apiservice, found, self._server.clock.now())
        if made is None:
            return
        was = conditions.status(apiservice, "Available")
        await self._server.client.update_status(self._aggregator.gvr, made)
        if found[0] != "True" and was != found[0]:
            UNAVAILABLE_TOTAL.inc(name, found[1])
