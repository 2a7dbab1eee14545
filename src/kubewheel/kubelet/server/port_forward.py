"""port-forward: connections of a client, over SPDY/3.1 (bare, or tunnelled in a WebSocket), to ports inside a pod.

Each forwarded connection is a pair of streams with the same requestID: "data" and "error".
In: the request, how to connect into the pod. Out: bytes both ways. Called by: server.py.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from kubewheel.kubelet.server import upgrade
from kubewheel.lib.streams import channels, spdy

log = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
CLONE_NEWNET = 0x40000000
Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class WebSocketPipe:
    """SPDY frames carried by the binary messages of a WebSocket."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self._ws = ws

    async def read(self) -> bytes:
        while True:
            message = await self._ws.receive()
            if message.type == WSMsgType.BINARY:
                if message.data:
                    return message.data
            elif message.type == WSMsgType.TEXT:
                return message.data.encode("latin-1")
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return b""

    async def write(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    async def aclose(self) -> None:
        await self._ws.close()


async def serve(request: web.Request, connect: Connect) -> web.StreamResponse:
    if upgrade.is_websocket(request):
        offered = upgrade.offered(request)
        if channels.PORT_FORWARD not in offered:
            raise web.HTTPForbidden(text=f"unable to upgrade: port-forward over WebSocket needs "
                                         f"{channels.PORT_FORWARD}; the client offered {offered}")
        ws = web.WebSocketResponse(protocols=(channels.PORT_FORWARD,), max_msg_size=0)
        await ws.prepare(request)
        await _run(WebSocketPipe(ws), connect)
        return ws
    if not upgrade.is_spdy(request):
        raise web.HTTPBadRequest(text="unable to upgrade: missing upgrade headers in request")
    offered = upgrade.offered(request, header="X-Stream-Protocol-Version")
    if offered and PROTOCOL not in offered:
        raise web.HTTPForbidden(text=f"unable to upgrade: unable to negotiate protocol: client supports {offered}, "
                                     f"server supports [{PROTOCOL}]")
    await _run(await upgrade.switch(request, "SPDY/3.1", {"X-Stream-Protocol-Version": PROTOCOL}), connect)
    return upgrade.Done()


async def _run(pipe: spdy.Pipe, connect: Connect) -> None:
    pairs: dict[str, dict[str, spdy.Stream]] = {}

    async def on_stream(stream: spdy.Stream) -> None:
        # Clients without a requestID open the error stream first and the data stream next to it.
        request_id = stream.headers.get("requestid") or str(
            stream.id if stream.headers.get("streamtype") == "error" else stream.id - 2)
        pair = pairs.setdefault(request_id, {})
        pair[stream.headers.get("streamtype", "")] = stream
        if {"data", "error"} <= pair.keys():
            del pairs[request_id]
            await _forward(pair["data"], pair["error"], connect)

    connection = spdy.Connection(pipe, is_server=True, on_stream=on_stream)
    try:
        await connection.run()
    except (spdy.SpdyError, ConnectionError) as e:
        log.info("port-forward ended: %s", e)


async def _forward(data: spdy.Stream, error: spdy.Stream, connect: Connect) -> None:
    port = int(data.headers.get("port", "0"))
    try:
        reader, writer = await connect(port)
    except OSError as e:
        text = (e.strerror or str(e)).lower()
        await error.write(f"error forwarding port {port} to pod: failed to connect to localhost:{port} inside "
                          f"namespace: dial tcp 127.0.0.1:{port}: connect: {text}".encode())
        await error.close_write()
        await data.close_write()
        return
    await error.close_write()

    async def to_pod() -> None:
        while block := await data.read():
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def to_client() -> None:
        while block := await reader.read(65536):
            await data.write(block)
        await data.close_write()

    inward = asyncio.create_task(to_pod(), name=f"port-forward:{port}:in")
    try:
        await to_client()
    except ConnectionError as e:
        log.debug("port-forward to %s: %s", port, e)
    finally:
        inward.cancel()
        await asyncio.gather(inward, return_exceptions=True)
        writer.close()


def socket_in_namespace(path: str, port: int) -> socket.socket:
    """A TCP connection to 127.0.0.1:port (or ::1) made inside a network namespace. Blocking; run it in a thread of
    its own: setns moves only the calling thread, which is put back before it returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        _setns(libc, there)
        try:
            return _connect_local(port)
        finally:
            _setns(libc, home)
    finally:
        os.close(there)
        os.close(home)


def _connect_local(port: int) -> socket.socket:
    first: OSError | None = None
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.connect((host, port))
            return sock
        except OSError as e:
            sock.close()
            first = first or e
    raise first or OSError("no address")


def _setns(libc: Any, fd: int) -> None:
    if libc.setns(fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
