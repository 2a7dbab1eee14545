"""exec and attach: a client's WebSocket or SPDY/3.1 bridged to the runtime's streaming server (SPDY/3.1).

In: the request, a container id, which streams. Out: bytes both ways, the exit status, resizes.
Called by: server.py.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from kubewheel.kubelet.server import upgrade
from kubewheel.lib.streams import channels, spdy

log = logging.getLogger(__name__)

SPDY_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io",
                  "channel.k8s.io")
STREAM_WAIT = 30.0  # for the client to open its SPDY streams (upstream's stream creation timeout)


@dataclass(frozen=True, slots=True)
class Wanted:
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def names(self) -> list[str]:
        pairs = (("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr and not self.tty))
        return [name for name, on in pairs if on] + (["resize"] if self.tty else [])


class Backend:
    """The runtime's side: error, stdin, stdout, stderr and resize streams."""

    def __init__(self, connection: spdy.Connection, streams: dict[str, spdy.Stream],
                 runner: asyncio.Task[None]) -> None:
        self.streams = streams
        self._connection = connection
        self._runner = runner

    @classmethod
    async def open(cls, url: str, wanted: Wanted) -> Backend:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = await spdy.connect(parts.hostname or "127.0.0.1", parts.port or 80, path,
                                        headers={"X-Stream-Protocol-Version": "v4.channel.k8s.io"})
        runner = asyncio.create_task(connection.run(), name="exec:runtime")
        streams = {}
        for name in ["error", *wanted.names()]:
            streams[name] = await connection.open({"streamtype": name})
        await streams["error"].close_write()
        return cls(connection, streams, runner)

    async def aclose(self) -> None:
        await self._connection.aclose()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)


async def serve(request: web.Request, url: str, wanted: Wanted) -> web.StreamResponse:
    if upgrade.is_websocket(request):
        return await _serve_websocket(request, url, wanted)
    if upgrade.is_spdy(request):
        return await _serve_spdy(request, url, wanted)
    raise web.HTTPBadRequest(text="unable to upgrade: missing upgrade headers in request")


# -- WebSocket -----------------------------------------------------------------------------------------------
async def _serve_websocket(request: web.Request, url: str, wanted: Wanted) -> web.StreamResponse:
    offered = upgrade.offered(request)
    protocol = channels.choose(offered)
    if protocol is None:
        raise web.HTTPForbidden(text=f"unable to upgrade: none of the protocols {offered} is supported")
    backend = await Backend.open(url, wanted)
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), max_msg_size=0, heartbeat=None)
    await socket.prepare(request)
    try:
        await _bridge_websocket(socket, backend, protocol, wanted)
    finally:
        await backend.aclose()
        await socket.close()
    return socket


async def _bridge_websocket(socket: web.WebSocketResponse, backend: Backend, protocol: str, wanted: Wanted) -> None:
    async def send(channel: int, data: bytes) -> None:
        message = channels.encode(channel, data, protocol)
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))

    async def outward(name: str, channel: int) -> None:
        stream = backend.streams[name]
        await send(channel, b"")  # upstream opens every output channel with an empty message
        while data := await stream.read():
            await send(channel, data)

    inward = asyncio.create_task(_from_websocket(socket, backend, protocol), name="exec:inward")
    outputs = [asyncio.create_task(outward(n, c), name=f"exec:{n}")
               for n, c in (("stdout", channels.STDOUT), ("stderr", channels.STDERR)) if n in backend.streams]
    try:
        done = asyncio.create_task(backend.streams["error"].read_all(), name="exec:error")
        await asyncio.wait({done, inward}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            done.cancel()  # the client went away
            return
        await asyncio.gather(*outputs)
        status = done.result() or channels.success_status()
        if channels.has_status(protocol):
            await send(channels.ERROR, status)
        elif (code := channels.exit_code(status)) != 0:
            await send(channels.ERROR, f"command terminated with exit code {code}".encode())
    except ConnectionError as e:
        log.debug("client of exec went away: %s", e)
    finally:
        for task in [inward, *outputs]:
            task.cancel()


async def _from_websocket(socket: web.WebSocketResponse, backend: Backend, protocol: str) -> None:
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT) or not message.data:
            continue
        channel, data = channels.decode(message.data, protocol)
        if channel == channels.STDIN and "stdin" in backend.streams:
            await backend.streams["stdin"].write(data)
        elif channel == channels.RESIZE and "resize" in backend.streams:
            await backend.streams["resize"].write(data)
        elif channel == channels.CLOSE and data[:1] == bytes([channels.STDIN]) and "stdin" in backend.streams:
            await backend.streams["stdin"].close_write()


# -- SPDY ----------------------------------------------------------------------------------------------------
async def _serve_spdy(request: web.Request, url: str, wanted: Wanted) -> web.StreamResponse:
    offered = upgrade.offered(request, header="X-Stream-Protocol-Version")
    protocol = channels.choose(offered, known=SPDY_PROTOCOLS)
    if protocol is None:
        raise web.HTTPForbidden(text=f"unable to upgrade: unable to negotiate protocol: client supports {offered}, "
                                     f"server supports {list(SPDY_PROTOCOLS)}")
    backend = await Backend.open(url, wanted)
    headers = {"X-Stream-Protocol-Version": protocol} if protocol else {}
    pipe = await upgrade.switch(request, "SPDY/3.1", headers)
    arrived: asyncio.Queue[spdy.Stream] = asyncio.Queue()
    client = spdy.Connection(pipe, is_server=True, on_stream=arrived.put_nowait)
    runner = asyncio.create_task(client.run(), name="exec:client")
    try:
        await _bridge_spdy(arrived, backend, protocol, wanted, runner)
    finally:
        await backend.aclose()
        await client.aclose()
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)
    return upgrade.Done()


async def _bridge_spdy(arrived: asyncio.Queue[spdy.Stream], backend: Backend, protocol: str, wanted: Wanted,
                       runner: asyncio.Task[None]) -> None:
    expected = {"error", *wanted.names()}
    if protocol in ("v2.channel.k8s.io", "channel.k8s.io", ""):
        expected.discard("resize")
    streams: dict[str, spdy.Stream] = {}
    async with asyncio.timeout(STREAM_WAIT):
        while not expected <= streams.keys():
            stream = await arrived.get()
            streams[stream.headers.get("streamtype", "")] = stream

    async def copy(source: spdy.Stream, target: spdy.Stream) -> None:
        while data := await source.read():
            await target.write(data)
        await target.close_write()

    pairs = [(streams[n], backend.streams[n]) for n in ("stdin", "resize") if n in streams and n in backend.streams]
    inputs = [asyncio.create_task(copy(a, b), name="exec:in") for a, b in pairs]
    outputs = [asyncio.create_task(copy(backend.streams[n], streams[n]), name="exec:out")
               for n in ("stdout", "stderr") if n in streams]
    try:
        done = asyncio.create_task(backend.streams["error"].read_all(), name="exec:error")
        waited: set[asyncio.Task[Any]] = {done, runner}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            done.cancel()
            return
        await asyncio.gather(*outputs)
        await streams["error"].write(done.result() or channels.success_status())
        await streams["error"].close_write()
        # The client closes once it has read the status; it is given a moment to.
        await asyncio.wait({runner}, timeout=2.0)
    finally:
        for task in [*inputs, *outputs]:
            task.cancel()
