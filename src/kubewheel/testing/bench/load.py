"""The load generator: raw HTTP/1.1 over kept-alive TLS connections, as little work per request as there can be.

In: a Served, requests as bytes. Out: requests a second and each one's seconds. Called by: the benchmarks.
It knows answers with Content-Length only (and, in Stream, whole lines of a watch); aiohttp's client would
measure itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiofastnet
import uvloop

from kubewheel.testing.bench import processes
from kubewheel.testing.bench.child import Served
from kubewheel.testing.bench.figures import Aim, Figure, median, percentile

CONNECTIONS = (1, 8, 32)
REPETITIONS = 5


def request(method: str, path: str, body: Any = None, *, accept: str = "application/json",
            content_type: str = "application/json") -> bytes:
    # compact, as the Go clients write it
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: kubewheel-bench\r\nAccept: {accept}\r\n"
    if body is not None:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
    return head.encode() + b"\r\n" + data


@dataclass
class Run:
    """One closed loop: every connection sends its next request when the answer to the last is whole."""

    requests: Iterator[bytes]
    done: asyncio.Future[None]
    busy: int = 0
    seconds: list[float] = field(default_factory=list)
    received: int = 0


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.run: Run | None = None
        self._sent = 0.0
        self._buffer = bytearray()
        self._wanted = 0  # bytes of the whole answer, 0 while its head is not there

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.run is not None and not self.run.done.done():
            self.run.done.set_exception(exc or ConnectionResetError("the server closed a connection under load"))

    def send_next(self) -> None:
        run = self.run
        assert run is not None
        following = next(run.requests, None)
        if following is None:
            run.busy -= 1
            if not run.busy and not run.done.done():
                run.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self.transport.write(following)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._wanted:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._wanted = end + 4 + _content_length(buffer, end)
        if len(buffer) < self._wanted:
            return
        run = self.run
        assert run is not None
        run.seconds.append(time.perf_counter() - self._sent)
        run.received += len(buffer)
        if buffer[9:10] != b"2" and not run.done.done():
            run.done.set_exception(RuntimeError(bytes(buffer[:2000]).decode(errors="replace")))
        buffer.clear()
        self._wanted = 0
        self.send_next()


def _content_length(buffer: bytearray, end: int) -> int:
    at = buffer.find(b"Content-Length: ", 0, end)
    if at < 0:
        raise RuntimeError(f"an answer without Content-Length: {bytes(buffer[:end])!r}")
    return int(buffer[at + 16:buffer.index(b"\r\n", at)])


async def connect(server: Served, protocol: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    _, made = await aiofastnet.create_connection(
        loop, protocol, server.host, server.port, ssl=server.context, server_hostname="127.0.0.1")
    return made


async def burst(connections: list[Connection], requests: Iterator[bytes]) -> tuple[float, Run]:
    """(seconds, run) until all requests are answered."""
    run = Run(requests, asyncio.get_running_loop().create_future(), busy=len(connections))
    began = time.perf_counter()
    for connection in connections:
        connection.run = run
        connection.send_next()
    await run.done
    return time.perf_counter() - began, run


async def throughput(server: Served, count: int, make: Callable[[int], Iterator[bytes]], *, connections: int,
                     repetitions: int = REPETITIONS) -> tuple[float, list[float]]:
    """(median of requests a second, every request's seconds); `make(n)` gives the requests of one repetition."""
    opened = [await connect(server, Connection) for _ in range(connections)]
    await burst(opened, make(max(count // 5, connections)))  # warm-up
    rates: list[float] = []
    every: list[float] = []
    for _ in range(repetitions):
        took, run = await burst(opened, make(count))
        rates.append(len(run.seconds) / took)
        every += run.seconds
    for connection in opened:
        connection.run = None
        connection.transport.close()
    return median(rates), every


def at_each_width(title: str, server: Served, count: int, make: Callable[[int], Iterator[bytes]], *,
                  aim: Aim | None = None) -> list[Figure]:
    """The figures of one request at 1, 8 and 32 connections; the aim belongs to the widest."""
    found = []
    for width in CONNECTIONS:
        used = processes.cpu_seconds(server.pid)
        each = count if width > 1 else count // 3
        rate, seconds = uvloop.run(throughput(server, each, make, connections=width))
        used = (processes.cpu_seconds(server.pid) - used) / (len(seconds) + each // 5) * 1e6
        found.append(Figure(f"{title}, {width} conn", rate, "req/s", p50=percentile(seconds, 50) * 1e3,
                            p99=percentile(seconds, 99) * 1e3,
                            aim=aim if width == CONNECTIONS[-1] else None,
                            note=f"{used:.0f} µs server CPU a request"))
    return found


async def all_of(server: Served, requests: list[bytes], *, connections: int = 16) -> None:
    """Just does them (set-up)."""
    opened = [await connect(server, Connection) for _ in range(connections)]
    await burst(opened, iter(requests))
    for connection in opened:
        connection.run = None
        connection.transport.close()
