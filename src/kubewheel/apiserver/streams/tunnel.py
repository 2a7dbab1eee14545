"""A connection upgrade passed on byte for byte: client ↔ API server ↔ kubelet (or a pod).

In: the client's request (hijacked) and where to connect. Out: two pipes until either side ends.
Called by: subresources/node_streams.py, proxy.py. WebSocket and SPDY/3.1 both pass: nobody here looks inside.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiohttp import web

from kubewheel.api import codec, errors
from kubewheel.client.transport import Request

HIGH_WATER = 256 * 1024
DROPPED = {"host", "authorization", "content-length", "accept-encoding"}


def wants_upgrade(request: Request) -> bool:
    return "upgrade" in request.headers.get("connection", "").lower() and bool(request.headers.get("upgrade"))


class _ClientSide(asyncio.Protocol):
    """Takes the client's transport over after the switch; writes what comes to the backend."""

    def __init__(self, backend: asyncio.StreamWriter) -> None:
        self._backend = backend
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: Any = None

    def data_received(self, data: bytes) -> None:
        self._backend.write(data)
        if self._backend.transport.get_write_buffer_size() > HIGH_WATER and self.transport is not None:
            self.transport.pause_reading()
            asyncio.ensure_future(self._resume()).set_name("tunnel:resume")  # noqa: RUF006 - ends with the drain

    async def _resume(self) -> None:
        try:
            await self._backend.drain()
        except OSError:
            return  # the pump sees the same end
        if not self.closed.done():
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drain(self) -> None:
        await self._writable.wait()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if not self.closed.done():
            self.closed.set_result(None)


async def open_backend(host: str, port: int, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(10):
            return await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as e:
        raise errors.service_unavailable(f"error dialing backend: dial tcp {host}:{port}: {e or 'i/o timeout'}") from e


async def run(raw: web.BaseRequest, request: Request, path: str, *, host: str, port: int,
              context: ssl.SSLContext | None) -> web.StreamResponse:
    """Sends the client's request on to `path` and pipes; a refusal of the backend is answered as it is."""
    try:
        reader, writer = await open_backend(host, port, context)
    except errors.StatusError as e:
        return web.Response(status=e.code, body=codec.dumps(e.status), content_type="application/json")
    try:
        lines = [f"{request.method} {path} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"{k}: {v}" for k, v in raw.headers.items() if k.lower() not in DROPPED]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return await switch(raw, reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError) as e:
        error = errors.service_unavailable(f"error dialing backend: {e}")
        return web.Response(status=error.code, body=codec.dumps(error.status), content_type="application/json")
    finally:
        writer.close()


async def switch(raw: web.BaseRequest, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter) -> web.StreamResponse:
    """Once the request is on its way: the backend's answer, and with 101 the pipes."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status != 101:
        return await _refused(head, status, reader)
    return await _pipe(raw, head, reader, writer)


async def _refused(head: bytes, status: int, reader: asyncio.StreamReader) -> web.Response:
    length = 65536
    content_type = "text/plain"
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() == b"content-type":
            content_type = value.strip().decode("latin-1").partition(";")[0]
    body = await reader.read(length) if length else b""
    return web.Response(status=status, body=body, content_type=content_type)


async def _pipe(raw: web.BaseRequest, head: bytes, reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter) -> web.StreamResponse:
    transport: Any = raw.transport
    if transport is None:
        return web.Response(status=499)
    side = _ClientSide(writer)
    side.transport = transport
    transport.write(head)
    transport.set_protocol(side)
    pump = asyncio.ensure_future(_to_client(reader, transport, side))
    pump.set_name("tunnel:to-client")
    try:
        await asyncio.wait({pump, side.closed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pump.cancel()
        if not transport.is_closing():
            transport.close()
    return _Done()


class _Done(web.Response):
    """Stands for an answer that has been given on the raw connection already."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


async def _to_client(reader: asyncio.StreamReader, transport: Any, side: _ClientSide) -> None:
    while data := await reader.read(65536):
        transport.write(data)
        await side.drain()
