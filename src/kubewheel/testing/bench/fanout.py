"""Watch fan-out: every watcher sees every update; the delay from sending the update to reading it in a watch."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import uvloop

from kubewheel.testing.bench import child, load, processes
from kubewheel.testing.bench.figures import Figure, percentile

WATCHERS, RATE, SECONDS = 100, 100, 5
MAPS = "/api/v1/namespaces/default/configmaps"
SENT = re.compile(rb'"sent":"(\d+)"')


class Stream(asyncio.Protocol):
    """Reads a watch; notes the delay of each event."""

    def __init__(self, delays: list[float]) -> None:
        self.delays = delays
        self.transport: Any = None
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        whole, newline, rest = (self._tail + data).rpartition(b"\n")
        if not newline:
            self._tail = rest
            return
        self._tail = rest
        for match in SENT.finditer(whole):
            self.delays.append((now - int(match[1])) / 1e6)


async def _measure(server: child.Served) -> tuple[list[float], float, float]:
    """(milliseconds of each delivery, share of one core the server used, its microseconds a delivery)"""
    maps = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{n}"}, "data": {"k": "v"}} for n in range(10)]
    await load.all_of(server, [load.request("POST", MAPS, one) for one in maps])
    delays: list[float] = []
    streams = [await load.connect(server, lambda: Stream(delays)) for _ in range(WATCHERS)]
    for stream in streams:
        stream.transport.write(load.request("GET", f"{MAPS}?watch=true"))
    writers = [await load.connect(server, load.Connection) for _ in range(8)]
    await _updates(writers, RATE)  # a second of warm-up
    await _delivered(delays, WATCHERS * RATE)
    delays.clear()
    cpu, began = processes.cpu_seconds(server.pid), time.perf_counter()
    await _updates(writers, RATE * SECONDS)
    await _delivered(delays, WATCHERS * RATE * SECONDS)
    used = processes.cpu_seconds(server.pid) - cpu
    share, each = used / (time.perf_counter() - began), used / len(delays) * 1e6
    for connection in (*streams, *writers):
        connection.transport.close()
    return delays, share, each


async def _delivered(delays: list[float], count: int) -> None:
    async with asyncio.timeout(20):
        while len(delays) < count:  # noqa: ASYNC110 - an event would cost the callback that is measured
            await asyncio.sleep(0.02)


async def _updates(writers: list[load.Connection], count: int) -> None:
    """`count` patches at RATE a second, whatever the answers take; each names the moment it was sent."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    waiting: list[asyncio.Future[Any]] = []
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
        body = {"metadata": {"annotations": {"sent": str(time.perf_counter_ns())}}}
        asked = load.request("PATCH", f"{MAPS}/m{number % 10}", body, content_type="application/merge-patch+json")
        if len(waiting) >= len(writers):
            await waiting.pop(0)
        waiting.append(asyncio.ensure_future(load.burst([writers[number % len(writers)]], iter([asked]))))
    await asyncio.gather(*waiting)


def run() -> list[Figure]:
    with child.served() as server:
        delays, share, each = uvloop.run(_measure(server))
    title = f"watch, {WATCHERS} x {RATE}/s"
    return [Figure(f"{title}, delivery", percentile(delays, 50), "ms", p50=percentile(delays, 50),
                   p99=percentile(delays, 99)),
            Figure(f"{title}, server CPU", share * 100, "% core", note=f"{each:.1f} µs a delivery, its update included")]
