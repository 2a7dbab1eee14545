"""An event loop in which waiting costs nothing: time jumps to the next timer when nothing is ready.

In: a coroutine (`run`), or a loop factory for `asyncio.Runner` and pytest-asyncio. Out: the same history for
equal runs: `loop.time()` starts at 0 and moves only by jumps, so `LoopClock` stamps repeat exactly.
Called by: testing.cluster and tests.

While work is out in threads (`asyncio.to_thread`) or a `hold()` is open, the loop waits really, so that what
other threads or processes do is not overtaken by a jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

# Nothing ready, no timer, no thread known: perhaps a thread of somebody's own will call in. After this many
# real seconds we say that it is a deadlock instead of hanging the test run.
PATIENCE = 30.0


class Deadlock(RuntimeError):
    """Every task waits for something that nobody will do."""


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the real selector without waiting; where nothing is ready the loop's time is moved instead."""

    loop: VirtualTimeLoop | None = None  # set once the loop is made

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        loop = self.loop
        if ready or loop is None or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            ready = super().select(None if loop.is_held() else PATIENCE)
            if not ready and not loop.is_held():
                raise Deadlock("nothing is ready, no timer is set and no thread is at work: "
                               f"waited {PATIENCE:.0f} real seconds")
            return ready
        if loop.is_held():
            ready = super().select(timeout)
            if ready:
                return ready
        loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self, *, start: float = 0.0) -> None:
        self._virtual_now = start
        self._held = 0
        selector = _JumpingSelector()
        super().__init__(selector)
        # A sum of floats may miss a timer by an ulp; without slack the loop would jump by 1e-12 for ever.
        self._clock_resolution = 1e-6
        selector.loop = self

    def time(self) -> float:
        return self._virtual_now

    def jump(self, seconds: float) -> None:
        self._virtual_now += seconds

    def is_held(self) -> bool:
        return self._held > 0

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Wait really while inside: for sub-processes and threads that the loop does not know of."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._held += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._held -= 1


class Policy(asyncio.DefaultEventLoopPolicy):
    """For pytest-asyncio's `event_loop_policy` fixture: every test of that module runs in virtual time."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualTimeLoop()


def run(main: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start=start)) as runner:
        return runner.run(main)
