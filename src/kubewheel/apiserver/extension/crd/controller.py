"""What brings CustomResourceDefinitions to life inside the API server.

In: the server's own cache of customresourcedefinitions. Out: Resources added to and removed from the registry;
conditions, acceptedNames and storedVersions written back; instances deleted with their definition.
Called by: apiserver/server.py (start, aclose). Keys (names), never events; one worker, so names are judged in turn.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubewheel.api import codec, errors
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver.admission.webhook_client import WebhookClient
from kubewheel.apiserver.extension.crd import conversion, status
from kubewheel.apiserver.extension.crd import resource as custom
from kubewheel.lib import clock as clocks
from kubewheel.lib.supervise import Tasks

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

log = logging.getLogger(__name__)
GVR = definitions.RESOURCE.gvr
_FIRST_DELAY, _LAST_DELAY = 0.05, 30.0


def _made_from(crd: Object) -> Object:
    """What the resources of a definition follow from."""
    told = crd.get("status") or {}
    return {"spec": crd["spec"], "names": told.get("acceptedNames"), "terminating": definitions.is_true(crd, "Terminating")}


class Controller:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks = Tasks("crds")
        self._http = WebhookClient(server.caches, server.client)
        self._wanted: dict[str, None] = {}  # names to look at, in order
        self._wake = asyncio.Event()
        self._delays: dict[str, float] = {}
        self._gone: dict[str, str] = {}  # name: uid of a definition let go, which the cache may still hold
        self._served: dict[str, tuple[Object, list[Gvr]]] = {}  # by CRD: what it was made from, what it made

    async def start(self) -> None:
        """Returns when the definitions that are there already are served."""
        self._server.watch_cache.resource(definitions.RESOURCE.registry)
        cache = self._server.caches.get(GVR)
        cache.subscribe(self._changed)
        await cache.wait_synced()
        for crd in cache.list():
            if definitions.is_true(crd, "Established"):
                self._register(crd)
        self._tasks.spawn("worker", self._work())

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old
        assert changed is not None
        self._enqueue(changed["metadata"]["name"])

    def _enqueue(self, name: str) -> None:
        self._wanted[name] = None
        self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            while self._wanted:
                name = next(iter(self._wanted))
                del self._wanted[name]
                try:
                    again = await self._reconcile(name)
                    self._delays.pop(name, None)
                except errors.StatusError as e:
                    if e.code not in (404, 409):
                        log.warning("customresourcedefinition %s: %s", name, e)
                    again = self._back_off(name)
                except Exception:  # noqa: BLE001 - one bad definition must not stop the others
                    log.exception("customresourcedefinition %s", name)
                    again = self._back_off(name)
                if again is not None:
                    asyncio.get_running_loop().call_later(again, self._enqueue, name)
            self._wake.clear()

    def _back_off(self, name: str) -> float:
        delay = self._delays[name] = min(self._delays.get(name, _FIRST_DELAY / 2) * 2, _LAST_DELAY)
        return delay

    # -- one definition -------------------------------------------------------------------------------------------
    async def _reconcile(self, name: str) -> float | None:
        crd = self._server.caches.get(GVR).get(None, name)
        if crd is None:
            self._gone.pop(name, None)
            await self._unregister(name)
            self._look_again(name.partition(".")[2])
            return None
        if crd["metadata"].get("deletionTimestamp"):
            return await self._finalize(crd)
        others = [c for c in self._server.caches.get(GVR).list() if c["metadata"]["name"] != name]
        wanted = status.wanted(crd, others, now=clocks.rfc3339(self._server.clock.now()))
        # Served before it is told: who sees Established finds the resource there.
        updated = codec.copy(crd)
        updated["status"] = wanted
        if status.is_established(wanted):
            self._register(updated)
        if wanted != crd.get("status"):
            await self._server.client.update_status(GVR, updated)
            if wanted["acceptedNames"] != (crd.get("status") or {}).get("acceptedNames"):
                self._look_again(crd["spec"]["group"], but=name)
        return None

    def _look_again(self, group: str, *, but: str = "") -> None:
        """Names may be free now: whoever was refused them looks again."""
        for other in self._server.caches.get(GVR).list():
            if other["spec"]["group"] == group and other["metadata"]["name"] != but and (
                    not definitions.is_true(other, "NamesAccepted")):
                self._enqueue(other["metadata"]["name"])

    def _register(self, crd: Object) -> None:
        name = crd["metadata"]["name"]
        known = self._served.get(name)
        made_from = _made_from(crd)
        if known is not None and known[0] == made_from:
            return
        convert = None
        if (crd["spec"].get("conversion") or {}).get("strategy") == "Webhook":
            convert = conversion.Converter(crd, self._http, self._server.random).convert
        made = custom.resources(crd, convert, self._server.watch_cache.revision)
        for gone in set(known[1] if known else ()) - {r.gvr for r in made}:
            self._server.registry.remove(gone)
        for resource in made:
            self._server.watch_cache.resource(resource.registry)
            self._server.registry.add(resource)
        self._served[name] = (made_from, [r.gvr for r in made])
        if known is not None and known[0]["spec"] != crd["spec"]:
            self._end_watches(crd)

    def _end_watches(self, crd: Object) -> None:
        """Those that look on begin anew, and see objects as the definition has them by now."""
        cache = self._server.watch_cache.resource(f"{crd['spec']['group']}/{crd['spec']['names']['plural']}")
        for watcher in list(cache.watchers):
            watcher.close()

    async def _unregister(self, name: str) -> None:
        for gvr in self._served.pop(name, ({}, []))[1]:
            self._server.registry.remove(gvr)
            await self._server.caches.stop(gvr)

    # -- deletion -------------------------------------------------------------------------------------------------
    async def _finalize(self, crd: Object) -> float | None:
        """Deletes the instances, then lets the definition go. Seconds to look again while some are left."""
        name = crd["metadata"]["name"]
        if definitions.FINALIZER not in (crd["metadata"].get("finalizers") or ()) or (
                self._gone.get(name) == crd["metadata"]["uid"]):
            return None
        crd = await self._tell(crd, status.terminating(
            crd, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress",
            clocks.rfc3339(self._server.clock.now())))
        if definitions.is_true(crd, "Established"):
            self._register(crd)
            if await self._delete_instances(name):
                return 0.5
        await self._let_go(crd)
        return None

    async def _let_go(self, crd: Object) -> None:
        updated = codec.copy(crd)
        updated["metadata"]["finalizers"] = [f for f in updated["metadata"]["finalizers"] if f != definitions.FINALIZER]
        await self._unregister(crd["metadata"]["name"])  # before: who sees the definition gone finds its resources gone
        self._end_watches(crd)
        await self._server.client.update(GVR, updated)
        self._gone[crd["metadata"]["name"]] = crd["metadata"]["uid"]

    async def _tell(self, crd: Object, wanted: Object) -> Object:
        if wanted == crd.get("status"):
            return crd
        updated = codec.copy(crd)
        updated["status"] = wanted
        return await self._server.client.update_status(GVR, updated)

    async def _delete_instances(self, name: str) -> int:
        """How many are still there after each was told to go."""
        gvrs = [g for g in self._served.get(name, ({}, []))[1]
                if (r := self._server.registry.lookup(g)) is not None and r.verbs]
        if not gvrs:
            return 0
        for item in (await self._server.client.list(gvrs[0]))["items"]:
            meta = item["metadata"]
            if meta.get("deletionTimestamp"):
                continue
            try:
                await self._server.client.delete(gvrs[0], meta["name"], namespace=meta.get("namespace"))
            except errors.StatusError as e:
                if e.code != 404:
                    raise
        return len((await self._server.client.list(gvrs[0]))["items"])
