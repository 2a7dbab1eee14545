"""A connection upgrade passed on byte for byte: client ↔ API server ↔ kubelet (or a pod).

In: the client's request (hijacked) and where to connect. Out: two pipes until either side ends.
Called by: subresources/{exec,portforward,proxy}.py. WebSocket and SPDY/3.1 both pass: nobody here looks inside.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from kubewheel.api import codec, errors
from kubewheel.apiserver.streams import kubelet
from kubewheel.apiserver.streams.kubelet import Connector, DialError
from kubewheel.client.transport import Request
from kubewheel.lib.streams import upgrade

log = logging.getLogger(__name__)

MAX_HEAD = 64 * 1024
REFUSAL_SECONDS = 10.0  # for the body of an answer that is no 101
DROPPED = {"host", "authorization", "content-length", "transfer-encoding", "expect"}
DROPPED_PREFIXES = ("impersonate-", "x-remote-")


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    path: str  # with its query
    context: Callable[[], ssl.SSLContext] | None  # of TLS


def wants_upgrade(request: Request) -> bool:
    return "upgrade" in request.headers.get("connection", "").lower() and bool(request.headers.get("upgrade"))


def refusal(error: errors.StatusError) -> web.Response:
    return web.Response(status=error.code, body=codec.dumps(error.status), content_type="application/json")


def unknown(text: str) -> errors.StatusError:
    """How upstream answers an error that is none of its own kinds: 500, without a reason."""
    return errors.status_error(500, "", text)


def forwarded_for(raw: web.BaseRequest) -> str:
    """X-Forwarded-For with the client's address behind those that are there already."""
    before = ", ".join(raw.headers.getall("X-Forwarded-For", []))
    address = raw.remote or ""
    return f"{before}, {address}" if before and address else before or address


async def run(raw: web.BaseRequest, connector: Connector, target: Target, *,
              more: Mapping[str, str] | None = None) -> web.StreamResponse:
    """Sends the client's request on to the target and pipes; a refusal of the backend is answered as it is."""
    try:
        reader, writer = await connector.open(target.host, target.port, target.context)
    except DialError as e:
        return refusal(unknown(f"error dialing backend: {e}"))
    try:
        writer.write(_head(raw, target, more or {}))
        return await switch(raw, reader, writer)
    except ConnectionError as e:
        return refusal(unknown(f"error dialing backend: {e}"))
    finally:
        writer.close()


async def switch(raw: web.BaseRequest, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter) -> web.StreamResponse:
    """Once the request is on its way: the backend's answer, and with 101 the pipes."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
    except asyncio.IncompleteReadError:
        return refusal(unknown("unexpected EOF"))
    except (asyncio.LimitOverrunError, ValueError, IndexError):
        return refusal(unknown("malformed HTTP response"))
    if status == 101:
        return await _pipe(raw, head, reader, writer)
    if status < 400:
        return refusal(unknown(f"invalid upgrade response: status code {status}"))
    return await refused(head, status, reader)


def _head(raw: web.BaseRequest, target: Target, more: Mapping[str, str]) -> bytes:
    host = raw.headers.get("Host") or kubelet.joined(target.host, target.port)
    lines = [f"{raw.method} {target.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{k}: {v}" for k, v in raw.headers.items()
              if k.lower() not in DROPPED and not k.lower().startswith(DROPPED_PREFIXES) and k.lower() != "x-forwarded-for"]
    lines += [f"X-Forwarded-For: {forwarded_for(raw)}", *(f"{k}: {v}" for k, v in more.items())]
    if raw.method in ("POST", "PUT", "PATCH"):
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def refused(head: bytes, status: int, reader: asyncio.StreamReader) -> web.Response:
    """The backend's answer, with its headers, and as much of its body as comes soon."""
    headers: CIMultiDict[str] = CIMultiDict()
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers.add(name.decode("latin-1").strip(), value.decode("latin-1").strip())
    length = headers.get("Content-Length", "")
    limit = int(length) if length.isascii() and length.isdigit() else MAX_HEAD
    body = b""
    try:
        async with asyncio.timeout(REFUSAL_SECONDS):
            while len(body) < limit and (part := await reader.read(limit - len(body))):
                body += part
    except TimeoutError:
        log.debug("a backend did not end its refusal")
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        body = _unchunked(body)
    for drop in ("Content-Length", "Transfer-Encoding", "Connection", "Date", "Server"):
        headers.popall(drop, None)
    return web.Response(status=status, body=body, headers=headers)


def _unchunked(raw: bytes) -> bytes:
    out = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            break
        out, raw = out + raw[:length], raw[length + 2:]
    return out


async def _pipe(raw: web.BaseRequest, head: bytes, reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter) -> web.StreamResponse:
    transport: Any = raw.transport
    if transport is None or transport.is_closing():
        return upgrade.Done()
    transport.write(head)
    await both_ways(upgrade.take_over(raw, transport), reader, writer)
    return upgrade.Done()


async def both_ways(client: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies between a Pipe and a connection until either ends; then both are closed."""

    async def to_backend() -> None:
        while data := await client.read():
            writer.write(data)
            await writer.drain()

    async def to_client() -> None:
        while data := await reader.read(65536):
            await client.write(data)

    tasks = [asyncio.create_task(to_backend(), name="tunnel:to-backend"),
             asyncio.create_task(to_client(), name="tunnel:to-client")]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        writer.close()
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                log.debug("a tunnel ended: %s", end)
        await client.aclose()
