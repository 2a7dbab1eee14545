"""Tasks with a name and an owner.

In: coroutine factories. Out: a running TaskGroup whose members are restarted with
back-off when they crash, or bring the group down, as their owner asked.
Called by: run, reconcile, kubelet, proxy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)


async def keep_running(
    name: str, work: Callable[[], Awaitable[object]], *, first_delay: float = 0.2, max_delay: float = 30.0
) -> None:
    """Run `work` for ever: a crash is logged and tried again with doubling delay (reset after a minute well)."""
    delay = first_delay
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await work()
            log.info("%s ended; starting it again", name)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the supervisor is where crashes are seen
            log.exception("%s crashed; starting it again in %.1fs", name, delay)
        if loop.time() - started > 60:
            delay = first_delay
        await asyncio.sleep(delay)
        delay = min(delay * 2, max_delay)


class Tasks:
    """Owns named background tasks; `aclose` cancels and awaits all. A crash is logged, never lost."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._tasks: set[asyncio.Task[object]] = set()

    def spawn(self, name: str, coro: Awaitable[object]) -> asyncio.Task[object]:
        task = asyncio.ensure_future(coro)
        task.set_name(f"{self.owner}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s crashed", task.get_name(), exc_info=error)

    async def aclose(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
