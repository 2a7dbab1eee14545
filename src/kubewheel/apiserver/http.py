"""The HTTPS front: bytes off a connection become a Request, a Response becomes bytes.

In: connections. Out: calls of the chain. Called by: run, testing.
aiohttp's low-level server parses; no router: the chain dispatches.
"""

from __future__ import annotations

import asyncio
import gzip
import http
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11

from kubewheel.apiserver import bodies
from kubewheel.client.transport import Peer, Request, Response

Handler = Callable[[Request], Awaitable[Response]]
GZIP_FROM = 128 * 1024  # bytes; upstream compresses from there
STREAMED = ("proxy",)  # subresources whose request body is passed on as it comes
AT_ONCE = 64 * 1024  # bytes; what fits goes out as one write


class _Listener(web.Server):
    """Knows who is at the other end of each connection, so that it is asked once and not with every request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peers: dict[Any, Peer] = {}

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        name = transport.get_extra_info("peername")
        self.peers[handler] = Peer(name[0] if isinstance(name, tuple) else "", _certificates(transport))

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self.peers.pop(handler, None)


class Front:
    def __init__(self, handler: Handler, *, streams: Callable[[str], bool] = lambda path: False) -> None:
        """`streams`: whether the body of a request to this path is passed on as it comes."""
        self._handler = handler
        self._streams = streams
        self._server = _Listener(self._serve, access_log=None, auto_decompress=True, keepalive_timeout=180,
                                 max_line_size=65536, max_field_size=65536, handler_cancellation=True)
        self._listeners: list[asyncio.Server] = []
        self._open: set[asyncio.Task[Any]] = set()

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Starts listening; the port (of use with port 0)."""
        loop = asyncio.get_running_loop()
        try:
            import aiofastnet
            import uvloop

            fast = isinstance(loop, uvloop.Loop)
        except ImportError:
            fast = False
        if fast:
            listener = await aiofastnet.create_server(loop, self._server, host, port, ssl=context, backlog=4096)
        else:
            listener = await loop.create_server(self._server, host, port, ssl=context, backlog=4096)
        self._listeners.append(listener)
        return listener.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in list(self._open):  # watches end with the server
            task.cancel()
        await self._server.shutdown(2.0)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        request = await self._request(raw)
        if isinstance(request, web.StreamResponse):
            return request
        response = await self._handler(request)
        if response.upgrade is not None:
            return await _upgraded(raw, response)
        if response.chunks is not None:
            self._open.add(task)
            try:
                return await _stream(raw, response)
            finally:
                self._open.discard(task)
        return _plain(raw, response)

    async def _request(self, raw: web.BaseRequest) -> Request | web.StreamResponse:
        target = raw.raw_path
        if "%" in target or not target.startswith("/"):
            path, query = raw.rel_url.path, raw.rel_url.raw_query_string
        else:
            path, _, query = target.partition("?")
        request = Request(
            method=raw.method, path=path, raw_path=target, headers=_headers(raw),
            query=parse_qs(query, keep_blank_values=True) if query else {},
            peer=self._server.peers.get(raw.protocol) or Peer())
        request.hijack = lambda: raw
        if raw.body_exists:
            if "/proxy" in request.path or self._streams(request.path):
                request.stream = raw.content.iter_any()
            else:
                body = await _read(raw)
                if body is None:
                    error = bodies.too_large()
                    return _plain(raw, Response(status=413, body=_json(error.status), headers={
                        "content-type": "application/json"}))
                request.body = body
        return request


def _json(value: Any) -> bytes:
    from kubewheel.api import codec

    return codec.dumps(value)


async def _read(raw: web.BaseRequest) -> bytes | None:
    """The whole body, None past the limit."""
    if (raw.content_length or 0) > bodies.MAX_BYTES:
        return None
    parts, size = [], 0
    async for chunk in raw.content.iter_any():
        size += len(chunk)
        if size > bodies.MAX_BYTES:
            return None
        parts.append(chunk)
    return b"".join(parts)


def _headers(raw: web.BaseRequest) -> dict[str, str]:
    """Names in lower case, repeated ones joined: by a comma as HTTP has it, but those that name users and groups by a
    newline, which no value can hold (a group may hold a comma)."""
    out: dict[str, str] = {}
    for name, value in raw.headers.items():
        name = name.lower()
        if name in out:
            value = f"{out[name]}{chr(10) if name.startswith(('impersonate-', 'x-remote-')) else ', '}{value}"
        out[name] = value
    return out


def _certificates(transport: Any) -> tuple[bytes, ...]:
    ssl_object = transport.get_extra_info("ssl_object") if transport is not None else None
    if ssl_object is None:
        return ()
    leaf = ssl_object.getpeercert(binary_form=True)
    return (leaf,) if leaf else ()


class _Whole:
    """A small answer on a connection that stays open: head and body in one write. Stands in for a web.Response,
    of which aiohttp asks no more than this."""

    __slots__ = ("_raw", "_data")
    keep_alive = True

    def __init__(self, raw: web.BaseRequest, data: bytes) -> None:
        self._raw = raw
        self._data = data

    async def prepare(self, request: web.BaseRequest) -> None:
        """The head goes with the body."""

    async def write_eof(self) -> None:
        transport = self._raw.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client went away")
        transport.write(self._data)


@lru_cache(256)
def _head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and headers but those that differ from answer to answer. ValueError where a value holds a line break."""
    try:
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}"]
    except ValueError:
        lines = [f"HTTP/1.1 {status} "]
    lines += [f"{name.title() if name.islower() else name}: {value}" for name, value in headers]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError(f"a header with a line break: {lines}")
    if all(name.lower() != "cache-control" for name, _ in headers):
        lines.append("Cache-Control: no-cache, private")
    return "\r\n".join([*lines, "Content-Length: "]).encode()


def _plain(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    body = response.body or b""
    if (len(body) <= AT_ONCE and not response.warnings and raw.keep_alive and raw.version == HttpVersion11
            and raw.method != "HEAD" and response.status >= 200 and response.status not in (204, 304)):
        head = _head(response.status, tuple(response.headers.items()))
        date = rfc822_formatted_time().encode()
        return _Whole(raw, b"%b%d\r\nDate: %b\r\n\r\n%b" % (head, len(body), date, body))  # type: ignore[return-value]
    headers: list[tuple[str, str]] = list(response.headers.items())
    headers += [("Warning", f'299 - "{_quoted(w)}"') for w in response.warnings]
    if "cache-control" not in response.headers:
        headers.append(("Cache-Control", "no-cache, private"))
    if len(body) > GZIP_FROM and "gzip" in raw.headers.get("Accept-Encoding", "") and "content-encoding" not in response.headers:
        body = gzip.compress(body, compresslevel=1)
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return web.Response(status=response.status, body=body, headers=headers)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")


async def _stream(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    out = web.StreamResponse(status=response.status, headers=response.headers)
    out.headers.setdefault("Cache-Control", "no-cache, private")
    if "content-length" not in response.headers:
        out.enable_chunked_encoding()
    chunks: AsyncIterator[bytes] = response.chunks  # type: ignore[assignment]
    try:
        await out.prepare(raw)
        async for chunk in chunks:
            await out.write(chunk)
        await out.write_eof()
    except (ConnectionResetError, ConnectionAbortedError):
        pass  # the client went away; its watch ends below
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()
    return out


async def _upgraded(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    assert response.upgrade is not None
    result = await response.upgrade(raw)
    return result if isinstance(result, web.StreamResponse) else web.Response(status=101)
