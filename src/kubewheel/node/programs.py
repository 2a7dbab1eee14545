"""What runs in the containers of simulated pods, as far as a test wants to see something run: Python functions.

In: `Program`s that a test lays over pods by name patterns. Out: what exec, attach and connections to a pod's ports do.
Called by: host.py; tests (through testing.Cluster.program). Where no program says otherwise, a few commands that need
no file system are there (`COMMANDS`), and any other is not found, as in an image without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from kubewheel.api.resource import Object
from kubewheel.lib.streams.remote_command import Stdio

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Backend = Handler | tuple[str, int]  # of a port: a function, or the address of a real server


class Process:
    """One run of a command in a container, as the function behind it sees it."""

    def __init__(self, pod: Object, container: str, command: list[str], stdio: Stdio, *, tty: bool) -> None:
        self.pod, self.container, self.command, self.tty = pod, container, command, tty
        self._stdio = stdio

    async def read(self) -> bytes:
        """Some of stdin; b"" at its end, at once where there is none."""
        return await self._stdio.stdin.read() if self._stdio.stdin is not None else b""

    async def lines(self) -> AsyncIterator[str]:
        """stdin by lines, without their ends."""
        rest = b""
        while data := await self.read():
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    async def out(self, data: str | bytes) -> None:
        if self._stdio.stdout is not None and data:
            await self._stdio.stdout.write(data.encode() if isinstance(data, str) else data)

    async def err(self, data: str | bytes) -> None:
        """To stderr; with a terminal there is only stdout."""
        target = self._stdio.stdout if self.tty else self._stdio.stderr
        if target is not None and data:
            await target.write(data.encode() if isinstance(data, str) else data)

    def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """(columns, rows) of the client's terminal, each time it changes."""
        return self._stdio.sizes()

    @property
    def env(self) -> dict[str, str]:
        """The plain values of the container's env, and HOSTNAME."""
        found = {"HOSTNAME": self.pod["spec"].get("hostname") or self.pod["metadata"]["name"]}
        for key in ("initContainers", "containers", "ephemeralContainers"):
            for spec in self.pod["spec"].get(key) or ():
                if spec["name"] == self.container:
                    found |= {e["name"]: e.get("value", "") for e in spec.get("env") or () if "valueFrom" not in e}
        return found


Run = Callable[[Process], Awaitable[int]]  # the exit code


@dataclass(frozen=True, slots=True)
class Program:
    """Laid over every pod and container whose names match (fnmatch patterns)."""

    namespace: str = "*"
    pod: str = "*"
    container: str = "*"
    exec: Run | None = None
    attach: Run | None = None
    ports: Mapping[int, Backend] = field(default_factory=dict)

    def covers(self, pod: Object, container: str | None) -> bool:
        meta = pod["metadata"]
        return (fnmatch.fnmatchcase(meta["namespace"], self.namespace) and fnmatch.fnmatchcase(meta["name"], self.pod)
                and (container is None or fnmatch.fnmatchcase(container, self.container)))


class Programs:
    """All that a cluster's test has laid down; what came last wins."""

    def __init__(self) -> None:
        self._all: list[Program] = []
        self._servers: dict[tuple[str, int], asyncio.Server] = {}

    def add(self, program: Program) -> None:
        self._all.insert(0, program)

    def exec(self, pod: Object, container: str) -> Run | None:
        return next((p.exec for p in self._all if p.exec is not None and p.covers(pod, container)), None)

    def attach(self, pod: Object, container: str) -> Run | None:
        return next((p.attach for p in self._all if p.attach is not None and p.covers(pod, container)), None)

    def port(self, pod: Object, number: int) -> Backend | None:
        return next((p.ports[number] for p in self._all if number in p.ports and p.covers(pod, None)), None)

    async def address(self, pod: Object, number: int) -> tuple[str, int]:
        """Where on this machine the pod's port is served. ConnectionRefusedError where nothing listens."""
        backend = self.port(pod, number)
        if backend is None:
            raise ConnectionRefusedError(111, "connection refused")
        if isinstance(backend, tuple):
            return backend
        key = pod["metadata"]["uid"], number
        if key not in self._servers:
            self._servers[key] = await asyncio.start_server(_closing(backend), "127.0.0.1", 0)
        return "127.0.0.1", int(self._servers[key].sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        for server in self._servers.values():
            server.close()
        self._servers.clear()


def _closing(handler: Handler) -> Handler:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):  # the client may go at any time
                await handler(reader, writer)
        finally:
            writer.close()

    return serve


# -- the commands that are always there -----------------------------------------------------------------------
async def _true(process: Process) -> int:
    return 0


async def _false(process: Process) -> int:
    return 1


async def _echo(process: Process) -> int:
    words, end = process.command[1:], "\n"
    if words[:1] == ["-n"]:
        words, end = words[1:], ""
    await process.out(" ".join(words) + end)
    return 0


async def _cat(process: Process) -> int:
    if process.command[1:] not in ([], ["-"]):
        await process.err(f"cat: {process.command[1]}: No such file or directory\n")
        return 1
    while data := await process.read():
        await process.out(data)
    return 0


async def _env(process: Process) -> int:
    await process.out("".join(f"{k}={v}\n" for k, v in process.env.items()))
    return 0


async def _hostname(process: Process) -> int:
    await process.out(process.env["HOSTNAME"] + "\n")
    return 0


async def _sleep(process: Process) -> int:
    try:
        await asyncio.sleep(float(process.command[1]))
    except (IndexError, ValueError):
        await process.err("usage: sleep SECONDS\n")
        return 1
    return 0


COMMANDS: Mapping[str, Run] = {"true": _true, "false": _false, "echo": _echo, "cat": _cat, "env": _env,
                               "hostname": _hostname, "sleep": _sleep}
