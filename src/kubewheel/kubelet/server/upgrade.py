"""Taking an HTTP connection over: what the client asks for, the 101, and the bare connection as a Pipe.

In: aiohttp requests. Out: Pipes. Called by: commands.py, port_forward.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

HIGH_WATER = 1024 * 1024


def is_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def is_spdy(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "spdy/3.1"


def offered(request: web.Request, *, header: str = "Sec-WebSocket-Protocol") -> list[str]:
    return [p.strip() for value in request.headers.getall(header, []) for p in value.split(",") if p.strip()]


class Done(web.Response):
    """Stands for an answer that was given on the raw connection."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class RawPipe(asyncio.Protocol):
    """The connection's bytes, once HTTP is over."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._ended = False
        self._writable = asyncio.Event()
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._incoming.put_nowait(data)
        self._waiting += len(data)
        if self._waiting > HIGH_WATER:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._end()

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


async def switch(request: web.Request, protocol: str, headers: dict[str, str]) -> RawPipe:
    """Answers 101 and hands the connection over."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {protocol}",
             *(f"{k}: {v}" for k, v in headers.items())]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    pipe = RawPipe(transport)
    transport.set_protocol(pipe)
    return pipe
