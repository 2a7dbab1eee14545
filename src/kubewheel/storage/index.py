"""What both stores keep in memory: current values sorted by key, a ring of recent writes, and the watchers.

In: committed events, in revision order. Out: pages (now or at a revision in the ring) and watch batches.
Called by: memory.py, sqlite.py. Synchronous and single-threaded: everything happens on the owner's loop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Iterable
from operator import attrgetter

from kubewheel.storage.store import Compacted, Conflict, FutureRevision, KeyExists, KeyValue, Page, StoreEvent

_revision_of = attrgetter("revision")


class Watcher:
    """A buffer the index fills and one consumer empties. Unbounded: a slow consumer gets a longer batch."""

    __slots__ = ("prefix", "after", "buffer", "_waiter", "closed")

    def __init__(self, prefix: str, after: int) -> None:
        self.prefix = prefix
        self.after = after
        self.buffer: list[StoreEvent] = []
        self.closed = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, event: StoreEvent) -> None:
        if event.revision > self.after:
            self.buffer.append(event)
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def batches(self) -> AsyncIterator[list[StoreEvent]]:
        """Until closed; the caller unregisters the watcher when this ends."""
        while True:
            if self.buffer:
                batch, self.buffer = self.buffer, []
                yield batch
            elif self.closed:
                return
            else:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter


class Index:
    """Invariants: `_keys` is `sorted(_current)`; `_ring` is every event with revision > `floor`."""

    def __init__(self, *, ring_limit: int) -> None:
        self.revision = 1  # of an empty store (etcd)
        self.floor = 1  # the oldest revision that can be read from the ring
        self._ring_limit = ring_limit
        self._current: dict[str, KeyValue] = {}
        self._keys: list[str] = []
        self._ring: list[StoreEvent] = []
        # Directory prefixes ("/registry/pods/") are found by looking up the parts of a key, so that a write
        # costs a few look-ups and not one comparison per watcher; other prefixes are compared one by one.
        self._directories: dict[str, list[Watcher]] = {}
        self._odd: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._keys)

    def load(self, current: dict[str, KeyValue], *, revision: int) -> None:
        """Replace everything: what a durable store found on disk. The ring starts empty at `revision`."""
        self._current = current
        self._keys = sorted(current)
        self._ring = []
        self.revision = self.floor = revision

    def get(self, key: str) -> KeyValue | None:
        return self._current.get(key)

    def apply(self, event: StoreEvent) -> None:
        key = event.key
        if event.value is None:
            del self._current[key]
            del self._keys[bisect_left(self._keys, key)]
        else:
            if key not in self._current:
                if self._keys and key < self._keys[-1]:
                    insort(self._keys, key)
                else:
                    self._keys.append(key)
            self._current[key] = KeyValue(key, event.value, event.revision)
        self.revision = event.revision
        self._ring.append(event)
        if len(self._ring) > self._ring_limit + self._ring_limit // 4:  # slack: trimming moves the whole list
            self.trim(self._ring[-self._ring_limit - 1].revision)
        self._dispatch(event)

    def trim(self, revision: int) -> None:
        """Forget events up to and with `revision`."""
        if revision > self.floor:
            del self._ring[: bisect_right(self._ring, revision, key=_revision_of)]
            self.floor = revision

    def since(self, after: int, prefix: str = "") -> list[StoreEvent]:
        """Events of the ring with revision > after. Compacted."""
        if after < self.floor:
            raise Compacted(self.floor)
        start = bisect_right(self._ring, after, key=_revision_of)
        return [event for event in self._ring[start:] if event.key.startswith(prefix)]

    def page(self, prefix: str, *, limit: int, start_after: str) -> Page:
        low, high = self._span(prefix, start_after)
        stop = min(low + limit, high) if limit > 0 else high
        items = [self._current[key] for key in self._keys[low:stop]]
        return Page(items, self.revision, stop < high, high - stop)

    def page_before(
        self, undo: Iterable[StoreEvent], prefix: str, *, revision: int, limit: int, start_after: str
    ) -> Page:
        """The page as it was at `revision`, given all events under `prefix` after it, ascending."""
        if revision > self.revision:
            raise FutureRevision(self.revision)
        then: dict[str, KeyValue | None] = {}
        for event in undo:
            if event.key > start_after and event.key not in then:  # its first later write tells the old value
                then[event.key] = (
                    None if event.previous is None
                    else KeyValue(event.key, event.previous, event.previous_revision)
                )
        low, high = self._span(prefix, start_after)
        keys = [key for key in self._keys[low:high] if key not in then] if then else self._keys[low:high]
        revived = [key for key, value in then.items() if value is not None]
        if revived:
            keys = sorted(keys + revived)
        chosen = keys[:limit] if limit > 0 else keys
        items = [then.get(key) or self._current[key] for key in chosen]
        rest = len(keys) - len(chosen)
        return Page(items, revision, rest > 0, rest)

    def _span(self, prefix: str, start_after: str) -> tuple[int, int]:
        keys = self._keys
        low = max(bisect_left(keys, prefix), bisect_right(keys, start_after) if start_after else 0)
        high = bisect_left(keys, prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else len(keys)
        return low, max(low, high)

    def register(self, prefix: str, *, after: int) -> Watcher:
        """A watcher whose buffer already holds the ring's events after `after`. Compacted."""
        watcher = Watcher(prefix, after)
        watcher.buffer = self.since(after, prefix)
        if prefix == "" or prefix.endswith("/"):
            self._directories.setdefault(prefix, []).append(watcher)
        else:
            self._odd.append(watcher)
        return watcher

    def unregister(self, watcher: Watcher) -> None:
        if watcher in self._odd:
            self._odd.remove(watcher)
            return
        peers = self._directories[watcher.prefix]
        peers.remove(watcher)
        if not peers:
            del self._directories[watcher.prefix]

    def watchers(self) -> list[Watcher]:
        return [w for peers in self._directories.values() for w in peers] + self._odd

    def close(self) -> None:
        """Watchers get what is buffered and then end."""
        for watcher in self.watchers():
            watcher.closed = True
            watcher.wake()

    def _dispatch(self, event: StoreEvent) -> None:
        key = event.key
        if self._directories:
            end = 0
            while True:
                for watcher in self._directories.get(key[:end], ()):
                    watcher.push(event)
                end = key.find("/", end) + 1
                if not end:
                    break
        for watcher in self._odd:
            if key.startswith(watcher.prefix):
                watcher.push(event)


def plan_create(key: str, value: bytes, current: KeyValue | None, *, revision: int) -> StoreEvent:
    """The event a create makes. KeyExists."""
    if current is not None:
        raise KeyExists(current)
    return StoreEvent(key, revision, value, None)


def plan_replace(
    key: str, value: bytes | None, current: KeyValue | None, *, expected: int, revision: int
) -> StoreEvent:
    """The event an update, or with `value` None a delete, makes. Conflict."""
    if current is None or current.revision != expected:
        raise Conflict(key, current)
    return StoreEvent(key, revision, value, current.value, current.revision)
