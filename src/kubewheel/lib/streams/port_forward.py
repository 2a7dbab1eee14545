"""port-forward, the server's side: connections of a client to ports inside a pod.

Over SPDY/3.1 (bare, or tunnelled in a WebSocket) each forwarded connection is a pair of streams with the same
requestID, "data" and "error". Over a plain WebSocket (v4.channel.k8s.io) each port of the query has two channels, data
and error, which open with the port's number as two bytes, the low one first.
In: the request, how to connect into the pod. Out: bytes both ways. Called by: kubelet/server.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from kubewheel.lib.streams import channels, spdy, upgrade
from kubewheel.lib.streams.channel_writer import ChannelWriter
from kubewheel.lib.streams.inbox import Inbox
from kubewheel.lib.streams.remote_command import Writer
from kubewheel.lib.streams.upgrade import Refused

log = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
CHANNELS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
PAIR_WAIT = 30.0  # for the second stream of a pair
Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def ports_of(values: list[str]) -> list[int]:
    """The ports of a WebSocket's query (`port`, repeated or with commas). Refused 400 in upstream's words."""
    if not values:
        raise Refused(400, 'query parameter "port" is required')
    ports = []
    for text in (p for value in values for p in value.split(",")):
        if not text:
            raise Refused(400, 'query parameter "port" cannot be empty')
        if not (text.isascii() and text.isdigit() and int(text) < 65536):
            raise Refused(400, f'unable to parse "{text}" as a port: strconv.ParseUint: parsing "{text}": invalid syntax')
        if int(text) < 1:
            raise Refused(400, f'port "{text}" must be > 0')
        ports.append(int(text))
    return ports


async def serve(request: web.BaseRequest, connect: Connect, *, idle_timeout: float = 0.0) -> web.StreamResponse:
    if upgrade.is_websocket(request):
        offered = upgrade.offered(request)
        if channels.PORT_FORWARD in offered:
            socket = upgrade.web_socket(request, channels.PORT_FORWARD)
            await socket.prepare(request)
            await _serve_spdy(upgrade.WebSocketPipe(socket), connect, idle_timeout)
            await socket.close()
            return socket
        return await _serve_channels(request, offered, connect, upgrade.Idle(idle_timeout))
    if not upgrade.is_spdy(request):
        raise Refused(400, "unable to upgrade: missing upgrade headers in request")
    upgrade.negotiate_spdy(request, (PROTOCOL,))
    pipe = await upgrade.switch(request, "SPDY/3.1", {"X-Stream-Protocol-Version": PROTOCOL})
    await _serve_spdy(pipe, connect, idle_timeout)
    return upgrade.Done()


# -- SPDY ----------------------------------------------------------------------------------------------------
async def _serve_spdy(pipe: spdy.Pipe, connect: Connect, idle_timeout: float) -> None:
    idle = upgrade.Idle(idle_timeout)
    pairs: dict[str, dict[str, spdy.Stream]] = {}

    async def on_stream(stream: spdy.Stream) -> None:
        kind, request_id = stream.headers.get("streamtype", ""), stream.headers.get("requestid", "")
        if kind not in ("data", "error") or not _port(stream):
            await stream.reset()
            return
        if not request_id:  # clients of old open the error stream first and the data stream next to it
            request_id = str(stream.id if kind == "error" else stream.id - 2)
        pair = pairs.setdefault(request_id, {})
        pair[kind] = stream
        if len(pair) == 2:
            del pairs[request_id]
            await _forward_streams(pair["data"], pair["error"], connect)
            return
        await asyncio.sleep(PAIR_WAIT)
        if pairs.get(request_id) is pair:
            del pairs[request_id]
            await stream.reset()

    connection = spdy.Connection(upgrade.TouchingPipe(pipe, idle), is_server=True, on_stream=on_stream)
    runner = asyncio.create_task(connection.run(), name="port-forward:client")
    idleness = asyncio.create_task(idle.wait(), name="port-forward:idle")
    try:
        await asyncio.wait({runner, idleness}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        idleness.cancel()
        await connection.aclose()
        runner.cancel()
        ends = await asyncio.gather(runner, idleness, return_exceptions=True)
    if isinstance(ends[0], Exception):
        if not isinstance(ends[0], (spdy.SpdyError, ConnectionError)):
            raise ends[0]
        log.info("port-forward ended: %s", ends[0])


def _port(stream: spdy.Stream) -> int:
    """The port a stream is for; 0 for none."""
    text = stream.headers.get("port", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 65536 else 0


async def _forward_streams(data: spdy.Stream, error: spdy.Stream, connect: Connect) -> None:
    error.inbox.discard()
    try:
        words = await _forward(_port(data), data.inbox, data, data.close_write, connect)
        if words:
            await error.write(words)
        await error.close_write()
        await data.close_write()
    except ConnectionError as e:
        log.debug("the client of a port-forward went away: %s", e)


async def _forward(port: int, source: Inbox, target: Writer, half_close: Callable[[], Awaitable[None]],
                   connect: Connect) -> bytes:
    """One connection, until the pod's side ends it. The words for the error stream, b"" if all was well. What the client
    sends that nobody takes is dropped: it must not hold up the other connections."""
    try:
        return await _connected(port, source, target, half_close, connect)
    finally:
        source.discard()


async def _connected(port: int, source: Inbox, target: Writer, half_close: Callable[[], Awaitable[None]],
                     connect: Connect) -> bytes:
    try:
        reader, writer = await connect(port)
    except Refused as e:
        return f"error forwarding port {port} to pod: {e.text}".encode()
    except OSError as e:
        text = (e.strerror or str(e)).lower()
        return (f"error forwarding port {port} to pod: failed to connect to localhost:{port} inside "
                f"namespace: dial tcp 127.0.0.1:{port}: connect: {text}").encode()

    async def to_pod() -> None:
        try:
            while block := await source.read():
                writer.write(block)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        except OSError as e:
            log.debug("port %s of a pod took no more: %s", port, e)
            source.discard()

    inward = asyncio.create_task(to_pod(), name=f"port-forward:{port}:in")
    words = b""
    try:
        while block := await _read(reader):
            await target.write(block)
        await half_close()
    except OSError as e:
        if isinstance(e, ConnectionResetError) and reader.exception() is None:
            raise  # the client's side
        words = f"error forwarding port {port} to pod: {e}".encode()
    finally:
        writer.close()  # at once: what is awaited below may be cancelled a second time
        inward.cancel()
        await asyncio.gather(inward, return_exceptions=True)
    return words


async def _read(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(65536)


# -- WebSocket channels ----------------------------------------------------------------------------------------
async def _serve_channels(request: web.BaseRequest, offered: list[str], connect: Connect,
                          idle: upgrade.Idle) -> web.StreamResponse:
    ports = ports_of(request.query.getall("port", []))
    protocol = channels.choose(offered, known=CHANNELS)
    if protocol is None:
        raise Refused(403, f"unable to upgrade: none of the protocols [{' '.join(offered)}] is supported")
    socket = upgrade.web_socket(request, protocol)
    await socket.prepare(request)
    inboxes = [Inbox() for _ in ports]

    async def one(number: int, port: int) -> None:
        data, error = (ChannelWriter(socket, 2 * number + i, protocol, idle) for i in (0, 1))
        for channel in (data, error):
            await channel.write(struct.pack("<H", port))
        words = await _forward(port, inboxes[number], data, _nothing, connect)
        if words:
            await error.write(words)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(n, p) for n, p in enumerate(ports)))

    tasks = [asyncio.create_task(coro, name="port-forward:channels")
             for coro in (all_of_them(), _dispatch(socket, protocol, inboxes, idle), idle.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                log.debug("port-forward ended: %s", end)
        await socket.close()
    return socket


async def _nothing() -> None:
    """Channels of a WebSocket know no half close."""


async def _dispatch(socket: web.WebSocketResponse, protocol: str, inboxes: list[Inbox], idle: upgrade.Idle) -> None:
    async for message in socket:
        idle.touch()
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            return
        if not message.data:
            continue
        channel, data = channels.decode(message.data, protocol)
        if channel % 2 == 0 and channel // 2 < len(inboxes):
            await inboxes[channel // 2].put(data)
