"""Pods waiting for a node: active (by priority, then time), backing off, unschedulable until something changes, gated.

In: pods as they come and change, cluster events by kind. Out: the next pod to schedule. Called by: loop.

EVENTS are "Resource/What": Node/Add, Node/Delete, Node/UpdateAllocatable, Node/UpdateLabel, Node/UpdateTaint,
AssignedPod/Add, AssignedPod/Delete, AssignedPod/UpdateLabel, AssignedPod/ScaleDown, Pod/UpdateLabel,
Pod/UpdateToleration, Pod/UpdateSchedulingGates, Pod/Update, Namespace/Update, and for volumes
PersistentVolumeClaim/Update, PersistentVolume/Update, StorageClass/Update, CSINode/Update, ….
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from kubewheel.scheduler.podinfo import PodInfo

FLUSH_AFTER, FLUSH_EVERY = 300.0, 30.0
ACTIVE, BACKOFF, UNSCHEDULABLE, GATED, FLIGHT = "active", "backoff", "unschedulable", "gated", "in-flight"


@dataclass(slots=True, eq=False)
class Item:
    info: PodInfo
    added: float  # when it came into the active queue last: the order among equal priorities
    first: float  # when it was first seen
    attempts: int = 0
    state: str = ACTIVE
    ticket: int = 0  # a heap entry with another ticket is stale
    since: float = 0.0  # of the last failed attempt
    plugins: frozenset[str] = frozenset()  # who turned it away
    is_error: bool = False  # not turned away by a plugin but by a failure: the back-off is kept even when idle
    events: list[str] = field(default_factory=list)  # what happened while it was in flight


class Queue:
    """`wants(scheduler, plugin, event)` says whether an event may help a pod which that plugin turned away."""

    def __init__(
        self, now: Callable[[], float], *, wants: Callable[[str, str, str], bool],
        gate: Callable[[PodInfo], str | None] = lambda info: None, first_backoff: float = 1.0,
        max_backoff: float = 10.0,
    ) -> None:
        self._now, self._wants, self._gate = now, wants, gate
        self._first_backoff, self._max_backoff = first_backoff, max_backoff
        self._items: dict[str, Item] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._waiting: dict[str, Item] = {}  # unschedulable
        self._flight: dict[str, Item] = {}
        self._tickets = 0
        self._wake = asyncio.Event()
        self._next_flush = now() + FLUSH_EVERY

    # -- pods come, change, go ----------------------------------------------------------------------------------
    def add(self, info: PodInfo) -> None:
        if info.uid in self._items:
            self.update(info, "Pod/Update")
            return
        item = self._items[info.uid] = Item(info, self._now(), self._now())
        self._enter(item)

    def update(self, info: PodInfo, *events: str) -> None:
        """The pod itself changed; `events` say what may now be different for it."""
        item = self._items.get(info.uid)
        if item is None:
            self.add(info)
            return
        item.info = info
        if item.state == GATED:
            self._enter(item)
        elif item.state == FLIGHT:
            item.events += events
        elif item.state == UNSCHEDULABLE and any(self._helps(item, e) for e in events):
            self._move(item)
        elif item.state == ACTIVE and events:
            self._activate(item)  # its priority may have changed

    def remove(self, uid: str) -> None:
        item = self._items.pop(uid, None)
        if item is not None:
            item.state, item.ticket = "", -1
            self._waiting.pop(uid, None)
            self._flight.pop(uid, None)

    def get(self, uid: str) -> Item | None:
        return self._items.get(uid)

    def counts(self) -> dict[str, int]:
        out = dict.fromkeys((ACTIVE, BACKOFF, UNSCHEDULABLE, GATED), 0)
        for item in self._items.values():
            if item.state in out:
                out[item.state] += 1
        return out

    # -- the scheduler's side -----------------------------------------------------------------------------------
    async def pop(self) -> Item:
        """The next pod; it is in flight until `done`, `unschedulable` or `failed` is called."""
        while (item := self.pop_nowait()) is None:
            self._wake.clear()
            # Not wait_for: on 3.11 it loses a cancellation that comes together with the wake-up.
            with contextlib.suppress(TimeoutError):  # a back-off is over, or it is time to flush
                async with asyncio.timeout(max(self._next_moment() - self._now(), 0.0) + 0.001):
                    await self._wake.wait()
        return item

    def pop_nowait(self) -> Item | None:
        self._flush()
        item = self._pop_active() or self._pop_backoff(even_early=True)
        if item is None:
            return None
        item.state, item.ticket = FLIGHT, -1
        item.attempts += 1
        item.events.clear()
        self._flight[item.info.uid] = item
        return item

    def done(self, uid: str) -> None:
        """Bound, or gone."""
        self.remove(uid)

    def unschedulable(self, item: Item, plugins: frozenset[str]) -> None:
        """No node fits. It waits for an event that may help, or for the flush."""
        if not self._land(item):
            return
        item.plugins, item.is_error = plugins, False
        if any(self._helps(item, event) for event in item.events):
            self._move(item)
            return
        item.state = UNSCHEDULABLE
        self._waiting[item.info.uid] = item

    def failed(self, item: Item) -> None:
        """Something went wrong: try again after the back-off."""
        if self._land(item):
            item.plugins, item.is_error = frozenset(), True
            self._back_off(item)

    def event(self, kind: str) -> None:
        """Something changed in the cluster: whom it may help is tried again."""
        for item in self._flight.values():
            if len(item.events) < 1000:
                item.events.append(kind)
        known: dict[tuple[str, frozenset[str]], bool] = {}  # thousands may wait for few reasons
        for item in list(self._waiting.values()):
            reasons = item.info.scheduler, item.plugins
            if reasons not in known:
                known[reasons] = self._helps(item, kind)
            if known[reasons]:
                self._move(item)

    # -- inside -------------------------------------------------------------------------------------------------
    def _land(self, item: Item) -> bool:
        item.since = self._now()
        return self._flight.pop(item.info.uid, None) is item and self._items.get(item.info.uid) is item

    def _helps(self, item: Item, kind: str) -> bool:
        return not item.plugins or any(self._wants(item.info.scheduler, p, kind) for p in item.plugins)

    def _enter(self, item: Item) -> None:
        if self._gate(item.info) is not None:
            item.state, item.ticket = GATED, -1
        else:
            self._activate(item)

    def _move(self, item: Item) -> None:
        self._waiting.pop(item.info.uid, None)
        if self._ready_at(item) <= self._now():
            self._activate(item)
        else:
            self._back_off(item)

    def _ready_at(self, item: Item) -> float:
        if not item.attempts:
            return 0.0
        return item.since + min(self._first_backoff * 2 ** (item.attempts - 1), self._max_backoff)

    def _activate(self, item: Item) -> None:
        self._tickets += 1
        item.state, item.ticket, item.added = ACTIVE, self._tickets, self._now()
        heapq.heappush(self._active, (-item.info.priority, item.added, item.ticket, item.info.uid))
        self._wake.set()

    def _back_off(self, item: Item) -> None:
        self._tickets += 1
        item.state, item.ticket = BACKOFF, self._tickets
        heapq.heappush(self._backoff, (self._ready_at(item), item.ticket, item.info.uid))
        self._wake.set()

    def _pop_active(self) -> Item | None:
        while self._active:
            _, _, ticket, uid = heapq.heappop(self._active)
            item = self._items.get(uid)
            if item is not None and item.ticket == ticket:
                return item
        return None

    def _pop_backoff(self, *, even_early: bool) -> Item | None:
        """With nothing else to do, a pod whose chances have changed need not wait out its back-off."""
        kept = []
        found = None
        while self._backoff and found is None:
            entry = heapq.heappop(self._backoff)
            item = self._items.get(entry[2])
            if item is None or item.ticket != entry[1]:
                continue
            if entry[0] <= self._now() or (even_early and not item.is_error):
                found = item
            else:
                kept.append(entry)
        for entry in kept:
            heapq.heappush(self._backoff, entry)
        return found

    def _flush(self) -> None:
        now = self._now()
        while self._backoff and self._backoff[0][0] <= now:
            _, ticket, uid = heapq.heappop(self._backoff)
            item = self._items.get(uid)
            if item is not None and item.ticket == ticket:
                self._activate(item)
        if now >= self._next_flush:
            self._next_flush = now + FLUSH_EVERY
            for item in [i for i in self._waiting.values() if now - i.since > FLUSH_AFTER]:
                self._move(item)

    def _next_moment(self) -> float:
        return min(self._next_flush, self._backoff[0][0]) if self._backoff else self._next_flush
