"""1,000 idle watches, each on a TLS connection of its own: memory they take, and CPU while nothing happens."""

from __future__ import annotations

import asyncio

import uvloop

from kubewheel.testing.bench import child, load, processes
from kubewheel.testing.bench.fanout import MAPS
from kubewheel.testing.bench.figures import Figure

WATCHES, SECONDS = 1000, 5
AT_ONCE = 50  # handshakes


class Opened(asyncio.Protocol):
    """A watch whose answer has begun."""

    def __init__(self) -> None:
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.begun.done():
            self.begun.set_result(None)


async def _measure(server: child.Served) -> tuple[float, float]:
    """(KB a watch, share of a core while all are idle)"""
    await load.all_of(server, [load.request("GET", MAPS)] * 200)  # what the first requests take is no watch's
    before = processes.rss_mb(server.pid)
    streams = []
    for _ in range(0, WATCHES, AT_ONCE):
        made = await asyncio.gather(*(load.connect(server, Opened) for _ in range(AT_ONCE)))
        for stream in made:
            stream.transport.write(load.request("GET", f"{MAPS}?watch=true&sendInitialEvents=true"
                                                       "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"))
            await stream.begun
        streams += made
    memory = (processes.rss_mb(server.pid) - before) * 1000 / WATCHES
    cpu = processes.cpu_seconds(server.pid)
    await asyncio.sleep(SECONDS)
    cpu = (processes.cpu_seconds(server.pid) - cpu) / SECONDS
    for stream in streams:
        stream.transport.close()
    return memory, cpu


def run() -> list[Figure]:
    with child.served() as server:
        memory, cpu = uvloop.run(_measure(server))
    return [Figure(f"memory of a watch, {WATCHES:,} idle (TLS)", memory, "KB", note="resident memory of the server"),
            Figure(f"CPU of {WATCHES:,} idle watches", cpu * 100, "% core")]
