"""A queue of keys: each waits once, is worked on by one worker at a time, and comes back with growing delay.

In: keys (`add`, `add_after`, `add_rate_limited`). Out: keys (`get`), to be given back with `done`.
Called by: reconcile/runner, kubelet, proxy. The rules are client-go's workqueue:
a key added while queued is dropped, one added while worked on is queued again when it is done.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from kubewheel.lib import metrics

K = TypeVar("K")

_BUCKETS = tuple(10.0**i for i in range(-8, 2))
ADDS = metrics.REGISTRY.counter("workqueue_adds_total", "[BETA] Total number of adds handled by workqueue", "name")
RETRIES = metrics.REGISTRY.counter("workqueue_retries_total", "[BETA] Total number of retries handled by workqueue", "name")
QUEUED = metrics.REGISTRY.histogram(
    "workqueue_queue_duration_seconds", "[BETA] How long in seconds an item stays in workqueue before being requested.",
    "name", buckets=_BUCKETS)
WORKED = metrics.REGISTRY.histogram(
    "workqueue_work_duration_seconds", "[BETA] How long in seconds processing an item from workqueue takes.", "name",
    buckets=_BUCKETS)
_named: WeakValueDictionary[str, WorkQueue[Any]] = WeakValueDictionary()  # the last of each name


def _of_each(read: Callable[[WorkQueue[Any]], float]) -> Callable[[], dict[tuple[str, ...], float]]:
    return lambda: {(name,): read(queue) for name, queue in list(_named.items())}


metrics.REGISTRY.samples("workqueue_depth", "[BETA] Current depth of workqueue by workqueue and priority", ("name",),
                         _of_each(lambda queue: float(len(queue))))
metrics.REGISTRY.samples(
    "workqueue_unfinished_work_seconds", "[BETA] How many seconds of work has done that is in progress and hasn't been "
    "observed by work_duration.", ("name",), _of_each(lambda queue: sum(queue.running_for())))
metrics.REGISTRY.samples(
    "workqueue_longest_running_processor_seconds", "[BETA] How many seconds has the longest running processor for workqueue "
    "been running.", ("name",), _of_each(lambda queue: max(queue.running_for(), default=0.0)))


class Closed(Exception):
    """The queue was closed: the worker ends."""


class WorkQueue(Generic[K]):
    def __init__(self, *, name: str = "", base_delay: float = 0.005, max_delay: float = 1000.0) -> None:
        """`name`: of its metrics; "" for none."""
        self._name = name
        self._since: dict[K, float] = {}  # queued or worked on since then; of named queues
        if name:
            _named[name] = self
        self._base = base_delay
        self._max = max_delay
        self._queue: OrderedDict[K, None] = OrderedDict()
        self._working: set[K] = set()
        self._again: set[K] = set()  # added while worked on; disjoint from _queue
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}  # one per key: the earliest wins
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    def add(self, key: K) -> None:
        if self._closed or key in self._queue:
            return
        if key in self._working:
            self._again.add(key)
            return
        self._queue[key] = None
        if self._name:
            ADDS.inc(self._name)
            self._since[key] = asyncio.get_running_loop().time()
        self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        old = self._timers.get(key)
        if old is not None:
            if old.when() <= loop.time() + seconds:
                return
            old.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def add_rate_limited(self, key: K) -> float:
        """Back after 5 ms, doubling with each failure up to 1000 s. Says the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if self._name:
            RETRIES.inc(self._name)
        delay = min(self._base * 2 ** min(failures, 40), self._max)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """It went well: the next failure starts from the first delay."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key, now being worked on. Closed when the queue is closed."""
        while not self._queue:
            if self._closed:
                raise Closed
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif self._queue:
                    self._wake()  # the wake-up meant for us goes to another
                raise
        if self._closed:
            raise Closed
        key, _ = self._queue.popitem(last=False)
        self._working.add(key)
        if self._name:
            now = asyncio.get_running_loop().time()
            QUEUED.observe(now - self._since.get(key, now), self._name)
            self._since[key] = now
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if self._name and (since := self._since.pop(key, None)) is not None:
            WORKED.observe(asyncio.get_running_loop().time() - since, self._name)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        self._closed = True
        self._queue.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def running_for(self) -> list[float]:
        """Seconds that each key is being worked on. Within the loop."""
        now = asyncio.get_running_loop().time()
        return [now - self._since[key] for key in self._working if key in self._since]

    def is_idle(self) -> bool:
        """Nothing queued or worked on (delayed keys do not count)."""
        return not self._queue and not self._working

    def __len__(self) -> int:
        return len(self._queue)

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                return
