"""A watch that resumes from before 50,000 events: how long until it has them all, and what that costs the server."""

from __future__ import annotations

import asyncio
import json
import time

import uvloop

from kubewheel.testing.bench import child, load, processes
from kubewheel.testing.bench.fanout import MAPS
from kubewheel.testing.bench.figures import Figure

EVENTS, OBJECTS = 50_000, 10


class Counted(asyncio.Protocol):
    """Reads a watch; counts whole events."""

    def __init__(self) -> None:
        self.events = 0
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.events += data.count(b'{"type":"MODIFIED"')
        if self.events >= EVENTS * 0.999 and not self.done.done():  # one in many is cut in two by the reads
            self.done.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


async def _caught_up(server: child.Served, since: int) -> float:
    """Seconds from the request to the last event."""
    stream = await load.connect(server, Counted)
    began = time.perf_counter()
    stream.transport.write(load.request("GET", f"{MAPS}?watch=true&resourceVersion={since}"))
    async with asyncio.timeout(60):
        await stream.done
    stream.transport.close()
    return time.perf_counter() - began


def run() -> list[Figure]:
    with child.served() as server:
        made = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{i}"}} for i in range(OBJECTS)]
        uvloop.run(load.all_of(server, [load.request("POST", MAPS, one) for one in made]))
        since = uvloop.run(_revision(server))
        changes = [load.request("PATCH", f"{MAPS}/m{i % OBJECTS}", {"data": {"turn": str(i)}},
                                content_type="application/merge-patch+json") for i in range(EVENTS)]
        uvloop.run(load.all_of(server, changes, connections=OBJECTS))
        before = processes.cpu_seconds(server.pid)
        took = uvloop.run(_caught_up(server, since))
        used = processes.cpu_seconds(server.pid) - before
    return [Figure(f"watch catch-up, {EVENTS:,} events", took, "s", note=f"{used / EVENTS * 1e6:.1f} µs server CPU an event")]


async def _revision(server: child.Served) -> int:
    """The newest revision there is."""
    answer = asyncio.get_running_loop().create_future()

    class Once(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            head, _, body = self.data.partition(b"\r\n\r\n")
            if len(body) and len(body) >= load._content_length(bytearray(head + b"\r\n"), len(head)):
                answer.set_result(json.loads(body))

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

    one = await load.connect(server, Once)
    one.transport.write(load.request("GET", MAPS))
    found = await answer
    one.transport.close()
    return int(found["metadata"]["resourceVersion"])
