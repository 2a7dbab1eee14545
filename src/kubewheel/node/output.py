"""The logs of simulated containers, in memory: what a test has them say, and what readers of pods/log get of it.

In: `write(…)` with a time. Out: rendered text, followed if asked. Called by: host.py, simulated.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.lib.clock import rfc3339_micro

POLL_SECONDS = 0.05  # how soon a follower sees that the container has ended


@dataclass(frozen=True, slots=True)
class Line:
    when: float  # epoch seconds
    stream: str  # stdout | stderr
    text: bytes  # without its end


@dataclass(slots=True)
class Output:
    """One run of one container."""

    lines: list[Line] = field(default_factory=list)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, text: str | bytes, *, stream: str, now: float) -> None:
        raw = text.encode() if isinstance(text, str) else text
        self.lines += [Line(now, stream, part) for part in raw.removesuffix(b"\n").split(b"\n")]
        self._grown.set()

    async def read(self, options: Any, *, is_running: Callable[[], bool]) -> AsyncIterator[bytes]:
        """`options` as the kubelet's LogOptions: follow, tail, since, timestamps, limit_bytes, stream."""
        wanted = [i for i, line in enumerate(self.lines) if not options.stream or line.stream == options.stream]
        at = len(self.lines)
        if options.tail is None:
            at = 0
        elif options.tail:
            at = wanted[-options.tail] if len(wanted) >= options.tail else 0
        left = options.limit_bytes
        while True:
            alive = is_running()
            while at < len(self.lines):
                text = _rendered(self.lines[at], options)
                at += 1
                if left is not None:
                    text, left = text[:left], left - len(text[:left])
                if text:
                    yield text
                if left == 0:
                    return
            if not options.follow or not alive:
                return
            self._grown.clear()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._grown.wait()
            except TimeoutError:
                continue


def _rendered(line: Line, options: Any) -> bytes:
    if options.stream and line.stream != options.stream:
        return b""
    if options.since is not None and line.when < options.since:
        return b""
    stamp = rfc3339_micro(line.when)[:-1].encode() + b"000Z " if options.timestamps else b""
    return stamp + line.text + b"\n"
