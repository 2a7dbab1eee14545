"""ConfigMaps and Secrets of this node's pods, kept current by one watch per object (upstream's Watch strategy).

In: (pod, resource, name) as volumes and environments ask. Out: the object or None; `on_change(uids)` when one changes.
Called by: volumes/manager.py, starting.py. The node authorizer lets a kubelet watch single objects its pods name, and
no more: hence a field selector per watch. A watch lives as long as a pod refers to its object, or until the object
turns out immutable.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.client.cache import Cache
from kubewheel.client.client import Client, gvr_of
from kubewheel.lib.supervise import Tasks

Object = dict[str, Any]
Key = tuple[str, str, str]  # resource, namespace, name
SYNC_TIMEOUT = 3.0


@dataclass(slots=True)
class _Watched:
    cache: Cache
    task: asyncio.Task[object]
    users: set[str] = field(default_factory=set)  # pod uids


class WatchedObjects:
    def __init__(self, client: Client, rng: random.Random, *, on_change: Callable[[set[str]], None]) -> None:
        self._client = client
        self._random = rng
        self._on_change = on_change
        self._watched: dict[Key, _Watched] = {}
        self._tasks = Tasks("objects")

    async def get(self, uid: str, resource: str, namespace: str, name: str) -> Object | None:
        """As the watch has it; None where there is none. StatusError when the server refuses."""
        entry = self._use(uid, (resource, namespace, name))
        if not entry.cache.is_synced():
            try:
                async with asyncio.timeout(SYNC_TIMEOUT):
                    await entry.cache.wait_synced()
            except TimeoutError:
                # The watch is refused or the server is slow: a plain GET says which.
                return await self._client.find(resource, name, namespace=namespace)
        found = entry.cache.get(namespace, name)
        if found is not None and found.get("immutable"):
            entry.task.cancel()  # it stays as it is for as long as it is used
        return found

    def _use(self, uid: str, key: Key) -> _Watched:
        entry = self._watched.get(key)
        if entry is None or (entry.task.done() and entry.cache.get(key[1], key[2]) is None):
            resource, namespace, name = key
            cache = Cache(self._client, gvr_of(resource), namespace=namespace, label_selector="",
                          field_selector=f"metadata.name={name}", rng=self._random)
            task = self._tasks.spawn(f"{resource}-{namespace}-{name}", cache.run())
            users = entry.users if entry else set()
            entry = self._watched[key] = _Watched(cache, task, users)
            cache.subscribe(lambda old, new: self._changed(key, old, new))
        entry.users.add(uid)
        return entry

    def _changed(self, key: Key, old: Object | None, new: Object | None) -> None:
        entry = self._watched.get(key)
        if entry is not None and (entry.cache.is_synced() or old is not None):
            self._on_change(set(entry.users))

    def forget(self, uid: str) -> None:
        """The pod needs nothing any more."""
        for key, entry in list(self._watched.items()):
            entry.users.discard(uid)
            if not entry.users:
                entry.task.cancel()
                del self._watched[key]

    async def aclose(self) -> None:
        await self._tasks.aclose()
