"""exec and attach, the server's side: a client's WebSocket or SPDY/3.1 becomes plain readers and writers for a command.

In: an upgrade request, which streams are wanted, and what starts the command. Out: bytes both ways, resizes, and at the
end the command's Status on the error stream (JSON from v4 on, plain text before).
Called by: kubelet/server (real and simulated nodes), apiserver/streams (which passes v5 WebSockets on as SPDY).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from kubewheel.lib.streams import channels, spdy, upgrade
from kubewheel.lib.streams.channel_writer import ChannelWriter
from kubewheel.lib.streams.inbox import Inbox
from kubewheel.lib.streams.upgrade import Refused

log = logging.getLogger(__name__)

# The server's order; the client's first that is in here is taken.
SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
STREAM_WAIT = 30.0  # for the client to open its SPDY streams (upstream's stream creation timeout)
LINGER = 2.0  # for the client to close once it has been told the end


class Reader(Protocol):
    async def read(self) -> bytes: ...  # b"" at the end


class Writer(Protocol):
    async def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client asked for; with a terminal there is no stderr of its own."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def of(cls, query: Any) -> Wanted:
        """Out of a kubelet's query (input, output, error, tty). Refused 400 where no stream is asked for."""
        stdin, stdout, stderr, tty = (query.get(n) in ("1", "true") for n in ("input", "output", "error", "tty"))
        if not (stdin or stdout or stderr):
            raise Refused(400, "you must specify at least 1 of stdin, stdout, stderr")
        return cls(stdin, stdout, stderr and not tty, tty)

    def names(self) -> list[str]:
        pairs = (("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr), ("resize", self.tty))
        return [name for name, on in pairs if on]


@dataclass(slots=True)
class Stdio:
    """A command's ends. `resize` carries JSON objects {"Width": 80, "Height": 24}."""

    stdin: Reader | None = None
    stdout: Writer | None = None
    stderr: Writer | None = None
    resize: Reader | None = None

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """(columns, rows) as the client's terminal changes."""
        decoder, text = json.JSONDecoder(), ""
        while self.resize is not None and (data := await self.resize.read()):
            text = (text + data.decode(errors="replace")).lstrip()
            while text:
                try:
                    size, end = decoder.raw_decode(text)
                except ValueError:
                    break  # the rest is on its way
                text = text[end:].lstrip()
                if isinstance(size, dict):
                    yield int(size.get("Width", 0)), int(size.get("Height", 0))


class Command(Protocol):
    """A command that has been started (or is about to). `aclose` follows in any case."""

    async def run(self, stdio: Stdio) -> bytes: ...  # the Status it ends with (channels.success_status …)

    async def aclose(self) -> None: ...


Start = Callable[[], Awaitable[Command]]


async def serve(request: web.BaseRequest, wanted: Wanted, start: Start, *, idle_timeout: float = 0.0) -> web.StreamResponse:
    """Refused for what is no proper upgrade or where `start` refuses; after the switch nothing is raised."""
    if upgrade.is_websocket(request):
        return await _serve_websocket(request, wanted, start, upgrade.Idle(idle_timeout))
    if upgrade.is_spdy(request):
        return await _serve_spdy(request, wanted, start, upgrade.Idle(idle_timeout))
    raise Refused(400, "unable to upgrade: missing upgrade headers in request: " + _shown(request))


def _shown(request: web.BaseRequest) -> str:
    return ", ".join(f"{k}: {v}" for k, v in request.headers.items() if k.lower() in ("connection", "upgrade"))


async def _until(main: asyncio.Task[bytes], *others: Awaitable[Any]) -> bytes | None:
    """The main task's result, or None when one of the others (the client's end, idleness) is first. Nothing is left."""
    tasks = [asyncio.ensure_future(o) for o in others]
    try:
        await asyncio.wait({main, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        return main.result() if main.done() else None
    finally:
        for task in (main, *tasks):
            task.cancel()
        await asyncio.gather(main, *tasks, return_exceptions=True)


async def _run(command: Command, stdio: Stdio) -> bytes:
    try:
        return await command.run(stdio)
    except Refused as e:
        return channels.failure_status(e.text)
    except (OSError, spdy.SpdyError) as e:
        return channels.failure_status(str(e) or type(e).__name__)


def _last_words(status: bytes, protocol: str) -> bytes:
    """What goes to the error stream: nothing of a success before v4."""
    if channels.has_status(protocol):
        return status
    body = json.loads(status)
    return b"" if body.get("status") == "Success" else str(body.get("message", "")).encode()


# -- WebSocket -----------------------------------------------------------------------------------------------
async def _serve_websocket(request: web.BaseRequest, wanted: Wanted, start: Start,
                           idle: upgrade.Idle) -> web.StreamResponse:
    offered = upgrade.offered(request)
    protocol = channels.choose(offered)
    if protocol is None:
        raise Refused(403, f"unable to upgrade: none of the protocols [{' '.join(offered)}] is supported")
    socket = upgrade.web_socket(request, protocol)
    command = await start()
    try:
        await socket.prepare(request)
        await _talk_websocket(socket, command, wanted, protocol, idle)
    except ConnectionError as e:
        log.debug("the client of a command went away: %s", e)
    finally:
        await command.aclose()
        await socket.close()
    return socket


async def _talk_websocket(socket: web.WebSocketResponse, command: Command, wanted: Wanted, protocol: str,
                          idle: upgrade.Idle) -> None:
    def channel(number: int) -> ChannelWriter:
        return ChannelWriter(socket, number, protocol, idle)

    stdin, resize = Inbox(), Inbox()
    stdio = Stdio(stdin if wanted.stdin else None, channel(channels.STDOUT) if wanted.stdout else None,
                  channel(channels.STDERR) if wanted.stderr else None, resize if wanted.tty else None)
    # An empty message on the lowest channel tells the client that the command's streams are there.
    await (stdio.stdout or stdio.stderr or channel(channels.ERROR)).write(b"")
    inward = _from_websocket(socket, protocol, stdin if wanted.stdin else None, resize, idle)
    main = asyncio.create_task(_run(command, stdio), name="command:run")
    status = await _until(main, inward, idle.wait())
    if status is not None and (words := _last_words(status, protocol)):
        await channel(channels.ERROR).write(words)


async def _from_websocket(socket: web.WebSocketResponse, protocol: str, stdin: Inbox | None, resize: Inbox,
                          idle: upgrade.Idle) -> None:
    """Returns when the client closes or sends what is no channel message."""
    try:
        async for message in socket:
            idle.touch()
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                return
            if not message.data:
                continue
            channel, data = channels.decode(message.data, protocol)
            if channel == channels.STDIN and stdin is not None:
                await stdin.put(data)
            elif channel == channels.RESIZE:
                await resize.put(data)
            elif channel == channels.CLOSE and protocol.startswith("v5.") and data[:1] == bytes([channels.STDIN]):
                if stdin is not None:
                    stdin.end()
    except ValueError as e:
        log.debug("a message of no channel: %s", e)
    finally:
        if stdin is not None:
            stdin.end()
        resize.end()


# -- SPDY ----------------------------------------------------------------------------------------------------
async def _serve_spdy(request: web.BaseRequest, wanted: Wanted, start: Start, idle: upgrade.Idle) -> web.StreamResponse:
    protocol = upgrade.negotiate_spdy(request, SPDY_PROTOCOLS)
    command = await start()
    arrived: asyncio.Queue[spdy.Stream] = asyncio.Queue()
    try:
        pipe = await upgrade.switch(request, "SPDY/3.1", {"X-Stream-Protocol-Version": protocol})
        client = spdy.Connection(upgrade.TouchingPipe(pipe, idle), is_server=True, on_stream=arrived.put_nowait)
        runner = asyncio.create_task(_reading(client), name="command:client")
        try:
            await _talk_spdy(arrived, command, wanted, protocol, runner, idle)
        finally:
            await client.aclose()
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
    except ConnectionError as e:
        log.debug("the client of a command went away: %s", e)
    finally:
        await command.aclose()
    return upgrade.Done()


async def _reading(connection: spdy.Connection) -> None:
    try:
        await connection.run()
    except (spdy.SpdyError, ConnectionError) as e:
        log.debug("a client's SPDY connection ended: %s", e)


async def _talk_spdy(arrived: asyncio.Queue[spdy.Stream], command: Command, wanted: Wanted, protocol: str,
                     runner: asyncio.Task[None], idle: upgrade.Idle) -> None:
    streams = await _expected(arrived, wanted, protocol, runner)
    if streams is None:
        return
    stdio = Stdio(streams.get("stdin"), streams.get("stdout"), streams.get("stderr"), streams.get("resize"))
    main = asyncio.create_task(_run(command, stdio), name="command:run")
    status = await _until(main, asyncio.shield(runner), idle.wait())
    for name in ("stdin", "resize"):
        if name in streams:
            streams[name].inbox.discard()  # so that what the client still sends holds nobody up
    if status is None:
        return
    if words := _last_words(status, protocol):
        await streams["error"].write(words)
    for name in ("error", "stdout", "stderr"):
        if name in streams:
            await streams[name].close_write()
    # Closing while the client sends would throw away what it has not read yet: it closes first, if it is quick.
    await asyncio.wait({runner}, timeout=LINGER)


async def _expected(arrived: asyncio.Queue[spdy.Stream], wanted: Wanted, protocol: str,
                    runner: asyncio.Task[None]) -> dict[str, spdy.Stream] | None:
    """The client's streams by their type; None when it goes away or is too slow."""
    expected = {"error", *wanted.names()}
    if protocol in ("v2.channel.k8s.io", "channel.k8s.io"):
        expected.discard("resize")
    streams: dict[str, spdy.Stream] = {}

    async def collect() -> bytes:
        while not expected <= streams.keys():
            stream = await arrived.get()
            streams[stream.headers.get("streamtype", "")] = stream
        return b"all"

    main = asyncio.create_task(collect(), name="command:streams")
    all_there = await _until(main, asyncio.shield(runner), asyncio.sleep(STREAM_WAIT))
    if all_there is None:
        log.info("timed out waiting for client to create streams")
        return None
    return streams
