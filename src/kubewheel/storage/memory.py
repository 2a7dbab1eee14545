"""The store in memory: for tests, simulations and throw-away clusters.

In: the Store contract. Out: the same; nothing survives the process. Called by: run, testing.
No write ever suspends, so it works under a virtual-time loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from kubewheel.storage.index import Index, plan_create, plan_replace
from kubewheel.storage.store import FutureRevision, KeyValue, Page, StoreEvent


class MemoryStore:
    """`history_limit`: writes kept for old reads and watches; older ones are compacted by themselves, so that
    a long-running test does not grow without bound."""

    def __init__(self, *, history_limit: int = 200_000) -> None:
        self._index = Index(ring_limit=history_limit)

    async def start(self) -> None:
        return

    async def aclose(self) -> None:
        self._index.close()

    def revision(self) -> int:
        return self._index.revision

    async def create(self, key: str, value: bytes) -> int:
        return self._commit(plan_create(key, value, self._index.get(key), revision=self.revision() + 1))

    async def update(self, key: str, value: bytes, *, expected: int) -> int:
        current = self._index.get(key)
        event = plan_replace(key, value, current, expected=expected, revision=self.revision() + 1)
        return self._commit(event)

    async def delete(self, key: str, *, expected: int) -> int:
        current = self._index.get(key)
        event = plan_replace(key, None, current, expected=expected, revision=self.revision() + 1)
        return self._commit(event)

    def _commit(self, event: StoreEvent) -> int:
        self._index.apply(event)
        return event.revision

    async def get(self, key: str) -> KeyValue | None:
        return self._index.get(key)

    async def range(self, prefix: str, *, revision: int = 0, limit: int = 0, start_after: str = "") -> Page:
        index = self._index
        if revision in (0, index.revision):
            return index.page(prefix, limit=limit, start_after=start_after)
        if revision > index.revision:
            raise FutureRevision(index.revision)
        undo = index.since(revision, prefix)
        return index.page_before(undo, prefix, revision=revision, limit=limit, start_after=start_after)

    async def watch(self, prefix: str, *, after: int) -> AsyncGenerator[list[StoreEvent], None]:
        watcher = self._index.register(prefix, after=after)
        try:
            async for batch in watcher.batches():
                yield batch
        finally:
            self._index.unregister(watcher)

    async def compact(self, revision: int) -> None:
        if revision > self._index.revision:
            raise FutureRevision(self._index.revision)
        self._index.trim(revision)

    async def failure(self) -> BaseException:
        return await asyncio.get_running_loop().create_future()

    def watcher_count(self) -> int:
        """How many watches are open; a metric, and how tests see that none leaks."""
        return len(self._index.watchers())
