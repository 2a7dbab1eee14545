"""Carries out Controller declarations: caches, queue, workers, retries.

In: Controllers and a factory of Contexts. Out: calls of `reconcile`, until cancelled.
Called by: run, testing, users' own controllers. Flow per controller:
cache event → keys → WorkQueue → one of N workers → reconcile(context, key) → forget, or back with delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.lib import supervise
from kubewheel.lib.workqueue import Closed, WorkQueue
from kubewheel.reconcile.controller import Context, Controller, Watch

log = logging.getLogger(__name__)


async def run(controllers: Iterable[Controller], make_context: Callable[[Controller], Context]) -> None:
    """Runs all of them for ever; cancel to end. Contexts are made before the first cache is awaited, so that
    every index exists when the caches fill."""
    pairs = [(c, make_context(c)) for c in controllers]
    running = [Running(c, context) for c, context in pairs]
    try:
        async with asyncio.TaskGroup() as group:
            for one in running:
                group.create_task(one.run(), name=f"controller:{one.controller.name}")
    finally:
        for one in running:
            one.queue.close()


class Running:
    """One controller with its queue. `queue` is public: tests and /metrics look at it."""

    def __init__(self, controller: Controller, context: Context) -> None:
        self.controller = controller
        self.context = context
        self.queue: WorkQueue[str] = WorkQueue(name=controller.name.removesuffix("-controller").replace("-", "_"))
        context.enqueue = self.queue.add
        context.enqueue_after = self.queue.add_after
        if controller.setup is not None:
            context.state = controller.setup(context)
        for resource in controller.reads:
            context.cache(resource)
        for watch in controller.watches:
            context.cache(watch.resource).subscribe(self._handler(watch))

    def _handler(self, watch: Watch) -> Callable[[Object | None, Object | None], None]:
        def handle(old: Object | None, new: Object | None) -> None:
            for key in watch.keys(old, new, self.context):
                self.queue.add(key)

        return handle

    async def run(self) -> None:
        for resource in (*self.controller.reads, *(w.resource for w in self.controller.watches)):
            await self.context.cache(resource).wait_synced()
        log.debug("caches of %s are in sync", self.controller.name)
        async with asyncio.TaskGroup() as group:
            if self.controller.reconcile is not None:
                for i in range(self.controller.workers):
                    group.create_task(self._work(), name=f"{self.controller.name}:{i}")
            if self.controller.run is not None:
                loop_of = self.controller.run
                group.create_task(
                    supervise.keep_running(f"{self.controller.name}:run", lambda: loop_of(self.context)),
                    name=f"{self.controller.name}:run",
                )

    async def _work(self) -> None:
        with contextlib.suppress(Closed):
            while True:
                key = await self.queue.get()
                try:
                    await self._one(key)
                finally:
                    self.queue.done(key)

    async def _one(self, key: str) -> None:
        """A failure is retried for ever with back-off; lost races (409, 404) and a namespace going away
        quietly."""
        assert self.controller.reconcile is not None
        try:
            again = await self.controller.reconcile(self.context, key)
        except asyncio.CancelledError:
            raise
        except errors.StatusError as e:
            delay = self.queue.add_rate_limited(key)
            level = logging.DEBUG if e.code in (404, 409) or is_terminating(e) else logging.WARNING
            log.log(level, "%s: %s: %s; again in %.3fs", self.controller.name, key, e, delay)
        except Exception:  # noqa: BLE001 - one bad object must not stop the controller for all others
            delay = self.queue.add_rate_limited(key)
            log.exception("%s: %s failed; again in %.3fs", self.controller.name, key, delay)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, max(again, 0.0))


def is_terminating(error: errors.StatusError) -> bool:
    """The namespace is being deleted: creating there is refused, and that is right."""
    causes = (error.status.get("details") or {}).get("causes") or ()
    return error.code == 403 and any(c.get("reason") == "NamespaceTerminating" for c in causes)
