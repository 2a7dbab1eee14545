"""Read-only caches: list, then watch, for ever (client-go's informer). Shared per client: one per resource+selectors.

In: a Client. Out: Cache (get, list, by_index, subscribe). Objects are shared: copy before changing.
Called by: reconcile, scheduler, kubelet, proxy, dns.

Invariants: handlers are called in the order of the watch, synchronously, before `get` of a later event is seen;
a re-list after 410 turns differences into the same handler calls; `wait_synced` returns after the first list.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.client.client import Client, gvr_of
from kubewheel.lib.supervise import Tasks

log = logging.getLogger(__name__)

Objects = list[Object]  # below, `list` is a method
Key = tuple[str, str]  # (namespace or "", name)
Handler = Callable[[Object | None, Object | None], None]  # (old, new): (None, x) added, (x, None) deleted


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


class Cache:
    def __init__(self, client: Client, gvr: Gvr, *, namespace: str | None, label_selector: str, field_selector: str,
                 rng: random.Random) -> None:
        self.gvr = gvr
        self.resource_version = ""
        self._client = client
        self._where = {"namespace": namespace, "label_selector": label_selector, "field_selector": field_selector}
        self._random = rng
        self._items: dict[Key, Object] = {}
        self._by_namespace: dict[str, dict[Key, Object]] = {}
        self._indexers: dict[str, Callable[[Object], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()

    # -- reading ------------------------------------------------------------------------------------------------
    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._items.get((namespace or "", name))

    def list(self, namespace: str | None = None) -> Objects:
        if namespace:
            return list(self._by_namespace.get(namespace, {}).values())
        return list(self._items.values())

    def by_index(self, index: str, value: str) -> Objects:
        return list(self._indexes[index].get(value, {}).values())

    def __len__(self) -> int:
        return len(self._items)

    def is_synced(self) -> bool:
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    # -- wiring -------------------------------------------------------------------------------------------------
    def add_index(self, name: str, values: Callable[[Object], Iterable[str]]) -> None:
        """Adding a name that exists keeps the first function (callers agree on what a name means)."""
        if name in self._indexers:
            return
        self._indexers[name] = values
        self._indexes[name] = {}
        for key, obj in self._items.items():
            self._index(name, key, obj)

    def subscribe(self, handler: Handler) -> None:
        """Called for what is there already (as added), then for each change."""
        self._handlers.append(handler)
        for obj in list(self._items.values()):
            handler(None, obj)

    # -- filling ------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        delay = 0.1
        while True:
            try:
                await self._list_and_watch()
                delay = 0.1
            except errors.StatusError as e:
                if e.code != 410:
                    log.warning("watch of %s failed: %s", self.gvr.plural, e)
                    await asyncio.sleep(delay * (0.5 + self._random.random()))
                    delay = min(delay * 2, 10.0)
            except (TimeoutError, OSError) as e:
                log.warning("watch of %s lost: %s", self.gvr.plural, e or type(e).__name__)
                await asyncio.sleep(delay * (0.5 + self._random.random()))
                delay = min(delay * 2, 10.0)

    async def _list_and_watch(self) -> None:
        listed = await self._client.list(self.gvr, **self._where, resource_version="0")  # type: ignore[arg-type]
        self._replace(listed["items"])
        self.resource_version = listed["metadata"]["resourceVersion"]
        self._synced.set()
        while True:
            timeout = int(300 + 300 * self._random.random())
            async for kind, obj in self._client.watch(
                    self.gvr, **self._where, resource_version=self.resource_version, timeout=timeout):  # type: ignore[arg-type]
                if kind == "DELETED":
                    self._apply(key_of(obj), None, gone=obj)
                elif kind != "BOOKMARK":
                    self._apply(key_of(obj), obj)
                self.resource_version = obj["metadata"]["resourceVersion"]

    def _replace(self, items: Iterable[Object]) -> None:
        fresh = {key_of(obj): obj for obj in items}
        for key in [k for k in self._items if k not in fresh]:
            self._apply(key, None)
        for key, obj in fresh.items():
            old = self._items.get(key)
            if old is None or old["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
                self._apply(key, obj)

    def _apply(self, key: Key, new: Object | None, *, gone: Object | None = None) -> None:
        old = self._items.get(key)
        if old is not None:
            for name in self._indexers:
                self._unindex(name, key, old)
        if new is None:
            if old is None:
                return
            del self._items[key]
            del self._by_namespace[key[0]][key]
            old = gone or old
        else:
            self._items[key] = new
            self._by_namespace.setdefault(key[0], {})[key] = new
            for name in self._indexers:
                self._index(name, key, new)
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception:  # noqa: BLE001 - one bad handler must not stop the cache of all others
                log.exception("handler of %s failed", self.gvr.plural)

    def _index(self, name: str, key: Key, obj: Object) -> None:
        for value in self._indexers[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj

    def _unindex(self, name: str, key: Key, obj: Object) -> None:
        index = self._indexes[name]
        for value in self._indexers[name](obj):
            if (bucket := index.get(value)) is not None:
                bucket.pop(key, None)
                if not bucket:
                    del index[value]


class Caches:
    """The caches of one client. `get` starts one on first use; `aclose` ends all."""

    def __init__(self, client: Client, *, rng: random.Random | None = None) -> None:
        self.client = client
        self._random = rng or random.Random(0)
        self._caches: dict[tuple[Any, ...], Cache] = {}
        self._plain: dict[str | Gvr, Cache] = {}  # those of whole resources, by the names they were asked for with
        self._running: dict[tuple[Any, ...], asyncio.Task[object]] = {}
        self._tasks = Tasks("caches")

    def get(self, resource: str | Gvr, *, namespace: str | None = None, label_selector: str = "",
            field_selector: str = "") -> Cache:
        plain = namespace is None and not label_selector and not field_selector
        if plain and (known := self._plain.get(resource)) is not None:
            return known
        key = (gvr_of(resource), namespace, label_selector, field_selector)
        cache = self._caches.get(key)
        if cache is None:
            cache = self._caches[key] = Cache(
                self.client, key[0], namespace=namespace, label_selector=label_selector,
                field_selector=field_selector, rng=self._random)
            self._running[key] = self._tasks.spawn(key[0].plural, cache.run())
        if plain:
            self._plain[resource] = cache
        return cache

    async def synced(self, resource: str | Gvr) -> Cache:
        """The cache of the resource once it holds what there is: for whoever may be the first to ask for it."""
        cache = self.get(resource)
        await cache.wait_synced()
        return cache

    async def stop(self, resource: str | Gvr) -> None:
        """Ends every cache of the resource (a CRD went away)."""
        self._plain.clear()
        for key in [k for k in self._caches if k[0] == gvr_of(resource)]:
            del self._caches[key]
            self._running.pop(key).cancel()

    def unsynced(self) -> list[str]:
        """The resources whose first list is not there yet."""
        return [key[0].plural for key, cache in self._caches.items() if not cache.is_synced()]

    async def wait_synced(self) -> None:
        for cache in list(self._caches.values()):
            await cache.wait_synced()

    async def aclose(self) -> None:
        await self._tasks.aclose()
