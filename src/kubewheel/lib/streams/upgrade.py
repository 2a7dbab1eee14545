"""Taking an HTTP connection over: what the client asks for, the 101, and the bare connection as a Pipe.

In: aiohttp requests. Out: Pipes; Refused where the client asks for what is not there.
Called by: remote_command.py, port_forward.py, apiserver/streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web

HIGH_WATER = 1024 * 1024
MAX_MESSAGE = 32 * 1024 * 1024  # bytes of a WebSocket message, as upstream's library has it


class Refused(Exception):
    """What is asked for cannot be: an HTTP status and the words for it. Whoever serves the request answers so."""

    def __init__(self, status: int, text: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether the client asks for an upgrade at all (both headers, as upstream looks for them)."""
    return "upgrade" in request.headers.get("Connection", "").lower() and bool(request.headers.get("Upgrade"))


def is_websocket(request: web.BaseRequest) -> bool:
    return is_upgrade(request) and request.headers.get("Upgrade", "").lower() == "websocket"


def is_spdy(request: web.BaseRequest) -> bool:
    return is_upgrade(request) and request.headers.get("Upgrade", "").lower() == "spdy/3.1"


def offered(request: web.BaseRequest, *, header: str = "Sec-WebSocket-Protocol") -> list[str]:
    return [p.strip() for value in request.headers.getall(header, []) for p in value.split(",") if p.strip()]


def negotiate_spdy(request: web.BaseRequest, known: Sequence[str]) -> str:
    """The first protocol of the client's that is known; Refused 400 where it names none, 403 where none fits."""
    names = offered(request, header="X-Stream-Protocol-Version")
    if not names:
        raise Refused(400, "unable to upgrade: X-Stream-Protocol-Version is required")
    for name in names:
        if name in known:
            return name
    raise Refused(403, f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(names)}], server "
                       f"accepts [{' '.join(known)}]", headers={"X-Accepted-Stream-Protocol-Versions": ", ".join(known)})


def web_socket(request: web.BaseRequest, protocol: str) -> web.WebSocketResponse:
    """Not yet prepared; Refused 400 for a handshake that is none."""
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), max_msg_size=MAX_MESSAGE, compress=False,
                                   timeout=5.0)
    try:
        ready = socket.can_prepare(request).ok
    except ValueError:  # a key that is no base64
        ready = False
    if not ready:
        raise Refused(400, "unable to upgrade: websocket: bad handshake")
    return socket


class Done(web.Response):
    """Stands for an answer that was given on the raw connection."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class RawPipe(asyncio.Protocol):
    """The connection's bytes, once HTTP is over. `before` is the protocol that had it, which is told of its end: the
    HTTP server would count it among its connections for ever."""

    def __init__(self, transport: Any, before: Any) -> None:
        self._transport = transport
        self._before = before
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._ended = False
        self._writable = asyncio.Event()
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._incoming.put_nowait(bytes(data))
        self._waiting += len(data)
        if self._waiting > HIGH_WATER:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._end()
        before, self._before = self._before, None
        if before is not None:
            before.connection_lost(exc)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._incoming.put_nowait(b"")

    async def read(self) -> bytes:
        if self._ended and self._incoming.empty():
            return b""
        data = await self._incoming.get()
        before, self._waiting = self._waiting, self._waiting - len(data)
        if before > HIGH_WATER >= self._waiting and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)
        await self._writable.wait()

    async def aclose(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()


class WebSocketPipe:
    """A WebSocket whose binary messages carry a stream of bytes (SPDY tunnelled)."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type == WSMsgType.BINARY:
                if message.data:
                    return bytes(message.data)
            elif message.type == WSMsgType.TEXT:
                return str(message.data).encode()
            else:
                return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def aclose(self) -> None:
        await self._socket.close()


async def switch(request: web.BaseRequest, protocol: str, headers: dict[str, str]) -> RawPipe:
    """Answers 101 and hands the connection over."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {protocol}",
             *(f"{k}: {v}" for k, v in headers.items())]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return take_over(request, transport)


def take_over(request: web.BaseRequest, transport: Any) -> RawPipe:
    """The bare connection, from the next byte on; what the HTTP server has read past the request comes first."""
    pipe = RawPipe(transport, request.protocol)
    tail = getattr(request.protocol, "_message_tail", b"")
    if tail:
        pipe.data_received(tail)
    transport.set_protocol(pipe)
    return pipe


class Idle:
    """How long nothing has come or gone on a connection (the kubelet's --streaming-connection-idle-timeout)."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = asyncio.get_running_loop().time()

    def touch(self) -> None:
        self._last = asyncio.get_running_loop().time()

    async def wait(self) -> None:
        """Returns once the connection has been idle for that long; never where there is no limit."""
        loop = asyncio.get_running_loop()
        while self._seconds <= 0 or (left := self._last + self._seconds - loop.time()) > 0:
            await asyncio.sleep(left if self._seconds > 0 else 3600.0)


class TouchingPipe:
    """A Pipe that tells an Idle of what passes."""

    def __init__(self, pipe: Any, idle: Idle) -> None:
        self._pipe = pipe
        self._idle = idle

    async def read(self) -> bytes:
        data: bytes = await self._pipe.read()
        self._idle.touch()
        return data

    async def write(self, data: bytes) -> None:
        self._idle.touch()
        await self._pipe.write(data)

    async def aclose(self) -> None:
        await self._pipe.aclose()
