"""Old revisions go away by themselves, on upstream's rhythm (--etcd-compaction-interval, 5m).

In: a store. Out: `compact` calls. Called by: run (one task per store).
"""

from __future__ import annotations

import asyncio

from kubewheel.storage.store import Store


async def compact_every(store: Store, interval: float = 300.0) -> None:
    """For ever: each tick drops what was already there at the tick before, so that every revision lives for
    at least `interval` and at most twice as long."""
    last = store.revision()
    while True:
        await asyncio.sleep(interval)
        now = store.revision()
        if last > 1:
            await store.compact(last)
        last = now
