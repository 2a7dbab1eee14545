"""The HTTPS front: bytes off a connection become a Request, a Response becomes bytes.

In: connections. Out: calls of the chain. Called by: run, testing.
aiohttp's low-level server parses; no router: the chain dispatches.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import http
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

from aiohttp import WSCloseCode, web, web_protocol
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion10, HttpVersion11
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong, PayloadEncodingError

from kubewheel.api import codec, errors
from kubewheel.apiserver import audit_ids, bodies, request_info, warning
from kubewheel.client.transport import Peer, Request, Response
from kubewheel.lib.streams import upgrade

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
GZIP_FROM = 128 * 1024  # bytes; upstream compresses from there
HEADER_SECONDS = 32.0  # for the first request's head, as upstream (ReadHeaderTimeout)
LINGER_SECONDS = 2.0  # for the rest of a body that is not wanted
MESSAGES = ("binary.k8s.io", "base64.binary.k8s.io")  # WebSocket protocols of logs; watches use none
GOODBYE = 0.2  # seconds for clients to answer the end of a connection, at the end of the server
SHUTDOWN = 1.0  # … and otherwise
AT_ONCE = 64 * 1024  # bytes; what fits goes out as one write


class _Connection(web_protocol.RequestHandler):
    """What Go's server does at the edge: no wait without end for the first request, plain words for what is not HTTP."""

    __slots__ = ("_impatience",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._impatience = asyncio.get_running_loop().call_later(HEADER_SECONDS, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._impatience.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer has begun already")
        if status == 500:
            log.error("%s %s failed", request.method, request.path, exc_info=exc)
            response = _said(errors.internal(str(exc) or type(exc).__name__))
        else:
            log.debug("no HTTP from %s: %s", request.remote, exc)
            response = _not_http(status, exc)
        response.force_close()
        return response


_OTHER_METHOD = re.compile(r"b['\"][!#$%&'*+.^_`|~0-9A-Za-z-]+ /\S* HTTP/1\.[01]")


def _not_http(status: int, exc: BaseException | None) -> web.Response:
    """What Go's server says of it. A method that the parser does not know is HTTP all the same, and allowed nowhere."""
    text = str(exc)
    if isinstance(exc, BadHttpMethod) and _OTHER_METHOD.search(text):
        return _said(errors.not_allowed())
    if isinstance(exc, LineTooLong) or "Too many headers" in text:
        return _Plain(status=431, text="431 Request Header Fields Too Large")
    if "Missing 'Host'" in text:
        return _Plain(status=400, text="400 Bad Request: missing required Host header")
    return _Plain(status=status, text=f"{status} {http.HTTPStatus(status).phrase}")


def _said(error: errors.StatusError) -> web.Response:
    return _Plain(status=error.code, body=codec.dumps(error.status) + b"\n", content_type="application/json", headers={
        "Cache-Control": "no-cache, private", "Audit-Id": audit_ids.new()})


class _Unsigned(web.StreamResponse):
    """Upstream does not say what it is made with."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        if self.headers.get("Server") == SERVER_SOFTWARE:
            del self.headers["Server"]


class _Plain(_Unsigned, web.Response):
    pass


class _Listener(web.Server):
    """Knows who is at the other end of each connection, so that it is asked once and not with every request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peers: dict[Any, Peer] = {}

    def __call__(self) -> web_protocol.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        name = transport.get_extra_info("peername")
        self.peers[handler] = Peer(name[0] if isinstance(name, tuple) else "", _certificates(transport))

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self.peers.pop(handler, None)


def _abort(transport: asyncio.BaseTransport) -> None:
    """Python before 3.11.4 forgets the TLS of a transport that was closed twice; that one ends after SHUTDOWN."""
    if getattr(transport, "_ssl_protocol", transport) is not None:
        transport.abort()  # type: ignore[attr-defined]


class Front:
    def __init__(self, handler: Handler, *, streams: Callable[[str], bool] = lambda path: False) -> None:
        """`streams`: whether the body of a request to this path is passed on as it comes."""
        self._handler = handler
        self._streams = streams
        self._server = _Listener(self._serve, access_log=None, auto_decompress=False, keepalive_timeout=180,
                                 max_line_size=65536, max_field_size=65536, max_headers=1000, handler_cancellation=True,
                                 lingering_time=LINGER_SECONDS)
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
            listener = await loop.create_server(self._server, host, port, ssl=context, backlog=4096,
                                                ssl_shutdown_timeout=SHUTDOWN if context is not None else None)
        self._listeners.append(listener)
        return listener.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in list(self._open):  # watches end with the server
            task.cancel()
        self._server.pre_shutdown()  # idle connections; those that work get the time below
        transports = [handler.transport for handler in self._server.peers]
        await self._server.shutdown(2.0)
        await self._hang_up(transports)

    async def _hang_up(self, transports: list[asyncio.Transport | None]) -> None:
        """Ends what the clients do not: TLS waits for the other side's goodbye, which an idle client never says."""
        await self._lost(GOODBYE)
        for transport in transports:
            if transport is not None:
                _abort(transport)
        await self._lost(2 * SHUTDOWN)

    async def _lost(self, seconds: float) -> None:
        """Until every client is gone, or time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        await asyncio.sleep(0)
        while self._server.peers and loop.time() < deadline:
            await asyncio.sleep(0.01)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        if raw.version < HttpVersion10:
            return _too_old(raw)
        try:
            request = await self._request(raw)
        except _Edge as e:
            return e.answer(raw)
        response = await self._handler(request)
        if response.upgrade is not None:
            self._open.add(task)
            try:
                return await _upgraded(raw, response)
            finally:
                self._open.discard(task)
        if response.chunks is not None:
            self._open.add(task)
            try:
                return await _stream(raw, response)
            finally:
                self._open.discard(task)
        return _plain(raw, response)

    async def _request(self, raw: web.BaseRequest) -> Request:
        """_Edge for what is answered here."""
        target = raw.raw_path
        path, _, query = target.partition("?")
        if not target.startswith("/"):
            path = _path_of(raw.method, target)
        if "%" in path or not path.isascii():
            path = _decoded(path)
        if ";" in query or "%" in query and _BAD_ESCAPE.search(query):  # such pairs Go drops
            query = "&".join(pair for pair in query.split("&") if ";" not in pair and not _BAD_ESCAPE.search(pair))
        request = Request(
            method=raw.method, path=path, raw_path=target, headers=_headers(raw),
            query=parse_qs(query, keep_blank_values=True) if query else {},
            peer=self._server.peers.get(raw.protocol) or Peer())
        request.hijack = lambda: raw
        if query and not query.isascii():
            request.query = parse_qs(_text(query), keep_blank_values=True)
        expected = request.headers.get("expect", "")
        if expected and expected.lower() != "100-continue":
            raise _Edge(417, "417 Expectation Failed")
        if raw.body_exists:
            if expected and raw.version == HttpVersion11 and (raw.content_length or 0) <= bodies.MAX_BYTES:
                raw.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")  # type: ignore[union-attr]
            if self._streams(path) or "/proxy" in path and request_info.parse(request).subresource == "proxy":
                request.stream = _body(raw)  # passed on as it comes
            else:
                request.body = await _read(raw)
        return request


class _Edge(Exception):
    """An answer that is given before the chain: what is not HTTP enough, or too much."""

    def __init__(self, status: int, text: str, *, error: errors.StatusError | None = None) -> None:
        super().__init__(text)
        self._status, self._text, self._error = status, text, error

    def answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        response = _said(self._error) if self._error is not None else _Plain(status=self._status, text=self._text)
        if self._status >= 400:
            response.force_close()
        return response


def _too_old(raw: web.BaseRequest) -> web.StreamResponse:
    """A request line without a version. The answer has one."""
    if raw.transport is not None:
        raw.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
                            b"400 Bad Request")
    return upgrade.Done()


_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def _path_of(method: str, target: str) -> str:
    """The path of a request target that is no path: `*`, a URL, an authority."""
    if target == "*" and method == "OPTIONS":
        raise _Edge(200, "")
    scheme, found, rest = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2].partition("?")[0]
    if method == "CONNECT":
        return ""
    raise _Edge(400, "400 Bad Request")


def _decoded(path: str) -> str:
    if _BAD_ESCAPE.search(path):
        raise _Edge(400, "400 Bad Request")
    return unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode(errors="replace")


async def _body(raw: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in raw.content.iter_any():
        yield chunk


async def _read(raw: web.BaseRequest) -> bytes:
    """The whole body. _Edge 413 past the limit, 400 where it is none."""
    if (raw.content_length or 0) > bodies.MAX_BYTES:
        raise _Edge(413, "", error=bodies.too_large())
    parts, size = [], 0
    try:
        if raw.content.is_eof():  # it came with the head
            whole = raw.content.read_nowait()
            if len(whole) > bodies.MAX_BYTES:
                raise _Edge(413, "", error=bodies.too_large())
            return whole
        async for chunk in raw.content.iter_any():
            size += len(chunk)
            if size > bodies.MAX_BYTES:
                raise _Edge(413, "", error=bodies.too_large())
            parts.append(chunk)
    except (web.RequestPayloadError, PayloadEncodingError) as e:
        raise _Edge(400, "", error=errors.bad_request(f"the body of the request could not be read: {e}")) from e
    return b"".join(parts)


def _text(value: str) -> str:
    """What came as bytes that are no UTF-8 is no text: it must not get as far as an answer in JSON."""
    return value.encode("utf-8", "surrogateescape").decode(errors="replace")


def _headers(raw: web.BaseRequest) -> dict[str, str]:
    """Names in lower case, repeated ones joined: by a comma as HTTP has it, but those that name users and groups by a
    newline, which no value can hold (a group may hold a comma)."""
    out: dict[str, str] = {}
    for name, value in raw.headers.items():
        name = name.lower()
        if not value.isascii():
            value = _text(value)
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
        if (protocol := self._raw.protocol).writing_paused:  # a client that asks and asks and does not read
            await protocol._drain_helper()


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
        audit_id = audit_ids.of(raw.headers.get("Audit-ID")).encode()
        date = rfc822_formatted_time().encode()
        return _Whole(raw, b"%b%d\r\nAudit-Id: %b\r\nDate: %b\r\n\r\n%b" % (  # type: ignore[return-value]
            head, len(body), audit_id, date, body))
    headers: list[tuple[str, str]] = [*response.headers.items(), ("Audit-Id", audit_ids.of(raw.headers.get("Audit-ID")))]
    headers += [("Warning", f'299 - "{_quoted(w)}"') for w in warning.told(response.warnings)]
    if "cache-control" not in response.headers:
        headers.append(("Cache-Control", "no-cache, private"))
    if len(body) > GZIP_FROM and "gzip" in raw.headers.get("Accept-Encoding", "") and "content-encoding" not in response.headers:
        body = gzip.compress(body, compresslevel=1)
        headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return _Plain(status=response.status, body=body, headers=headers)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")


async def _stream(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    chunks: Any = response.chunks
    try:
        if upgrade.is_websocket(raw) and response.status == 200:
            return await _messages(raw, response)
        return await _chunks(raw, response)
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()


async def _chunks(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    out = _Unsigned(status=response.status, headers=response.headers)
    out.headers.setdefault("Cache-Control", "no-cache, private")
    out.headers.setdefault("Audit-Id", audit_ids.of(raw.headers.get("Audit-ID")))
    for text in warning.told(response.warnings):
        out.headers.add("Warning", f'299 - "{_quoted(text)}"')
    if raw.version <= HttpVersion10:
        out.force_close()  # the end of the connection is the end of the answer
    elif "content-length" not in out.headers and response.status >= 200 and response.status not in (204, 304):
        out.enable_chunked_encoding()
    assert response.chunks is not None
    try:
        await out.prepare(raw)
        async for chunk in response.chunks:
            await out.write(chunk)
        await out.write_eof()
    except (ConnectionResetError, ConnectionAbortedError):
        # The client went away, or the backend of a proxy: an answer that was cut off must not look whole.
        if raw.transport is not None:
            _abort(raw.transport)
        return upgrade.Done()
    return out


async def _messages(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    """Logs and watches for WebSocket clients: a message for each piece, or for each event."""
    offered = upgrade.offered(raw)
    protocol = next((p for p in offered if p in MESSAGES), "")
    if offered and not protocol and response.headers.get("content-type", "").startswith("text/plain"):
        return _Plain(status=403, text="unable to upgrade: no protocol is supported")
    try:
        socket = upgrade.web_socket(raw, protocol)
    except upgrade.Refused as e:
        return _said(errors.bad_request(e.text))
    await socket.prepare(raw)
    is_watch = "json" in response.headers.get("content-type", "")
    # Whoever reads notices the client's end; what it says is not listened to.
    listening = asyncio.create_task(_until_closed(socket), name="http:websocket")
    sending = asyncio.create_task(_send_messages(socket, response, protocol, is_watch=is_watch), name="http:messages")
    try:
        await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (listening, sending):
            task.cancel()
        await asyncio.gather(listening, sending, return_exceptions=True)
        await socket.close(code=WSCloseCode.OK)
    return socket


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        continue


async def _send_messages(socket: web.WebSocketResponse, response: Response, protocol: str, *, is_watch: bool) -> None:
    assert response.chunks is not None
    async for chunk in response.chunks:
        if is_watch:
            for line in chunk.splitlines():
                await socket.send_str(line.decode())
        elif protocol == "base64.binary.k8s.io":
            await socket.send_str(base64.b64encode(chunk).decode())
        else:
            await socket.send_bytes(chunk)


async def _upgraded(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    assert response.upgrade is not None
    result = await response.upgrade(raw)
    return result if isinstance(result, web.StreamResponse) else _Plain(status=101)
