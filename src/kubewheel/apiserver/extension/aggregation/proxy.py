"""One request passed on to an extension API server, with who sent it in X-Remote-* headers.

In: a request that authentication and authorization let through, its user, the APIService. Out: the extension server's
answer as it comes: watches flow, upgrades are piped. Called by: aggregator.py.
In-process callers get objects and events, as from ourselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from kubewheel.api import codec, conditions, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import backend
from kubewheel.apiserver.streams import tunnel
from kubewheel.client.transport import Identity, Request, Response

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
               "transfer-encoding", "upgrade", "host", "content-length"}
_PRIVATE = ("authorization", "x-remote-", "impersonate-")  # told anew, or none of the extension server's business
_UPGRADE = ("connection", "upgrade")
_PAGE = 64 * 1024  # bytes; answers up to this are read whole
REDIRECTED = b"the backend attempted to redirect this request, which is not permitted"
UNAVAILABLE = "service unavailable"


def is_available(apiservice: Object) -> bool:
    found = conditions.find(apiservice, "Available")
    return found is not None and found.get("status") == "True"


async def handle(backends: backend.Backends, apiservice: Object, request: Request, user: Identity, *,
                 reject_redirects: bool) -> Response:
    if not is_available(apiservice):
        return refusal(UNAVAILABLE)
    try:
        if tunnel.wants_upgrade(request) and request.hijack is not None:
            backends.address(apiservice)
            return Response(status=101, upgrade=lambda raw: _upgrade(backends, apiservice, request, user, raw))
        answer = await backends.request(
            apiservice, request.method, target(request), headers=headers(request, user), body=_body(request))
    except backend.Unreachable as e:
        # Which of the two it was is in upstream's log only, for an address that cannot be found.
        return refusal(f"error trying to reach service: {e}" if "\"" in str(e) else UNAVAILABLE)
    if reject_redirects and 300 <= answer.status < 400 and answer.headers.get("location"):
        answer.close()
        return Response(status=502, body=REDIRECTED, headers={"content-type": "text/plain; charset=utf-8"})
    if request.wants_objects:
        return await _objects(request, answer)
    return await _passed_on(answer)


def refusal(message: str) -> Response:
    """503 in plain text, as upstream's front answers."""
    return Response(status=503, body=f"{message}\n".encode(), headers={
        "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"})


def target(request: Request) -> str:
    """Path and query as the client wrote them."""
    if request.raw_path:
        return request.raw_path
    query = "&".join(f"{quote(k)}={quote(v)}" for k, values in request.query.items() for v in values)
    return request.path + (f"?{query}" if query else "")


def headers(request: Request, user: Identity, *, upgrade: bool = False) -> list[tuple[str, str]]:
    out = [(name, value) for name, value in request.headers.items()
           if (name not in _HOP_BY_HOP or (upgrade and name in _UPGRADE)) and not name.startswith(_PRIVATE)]
    if request.peer.address:
        out.append(("X-Forwarded-For", request.peer.address))
    return out + backend.proxy_header_list(user)


def _body(request: Request) -> Any:
    if request.stream is not None:
        return request.stream
    if isinstance(request.body, dict):
        return codec.dumps(request.body)
    return request.body


# -- answers --------------------------------------------------------------------------------------------------------
def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Repeated ones are joined, which those that are repeated here (Warning, Vary) allow."""
    out: dict[str, str] = {}
    for name, value in answer.headers.items():
        name = name.lower()
        if name not in _HOP_BY_HOP and name != "date":
            out[name] = f"{out[name]}, {value}" if name in out else value
    return out


async def _passed_on(answer: aiohttp.ClientResponse) -> Response:
    found = _headers(answer)
    length = answer.content_length
    if length is not None and length <= _PAGE:
        try:
            body = await answer.read()
        except aiohttp.ClientError as e:
            return refusal(f"error trying to reach service: {backend.reason(e)}")
        return Response(status=answer.status, headers=found, body=body)
    if length is not None:
        found["content-length"] = str(length)
    return Response(status=answer.status, headers=found, chunks=_chunks(answer))


async def _chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the other end cut the stream: ours ends as well
    finally:
        answer.close()


async def _objects(request: Request, answer: aiohttp.ClientResponse) -> Response:
    if request.flag("watch") and answer.status == 200:
        return Response(status=200, events=_events(answer))
    async with answer:
        raw = await answer.read()
    try:
        return Response(status=answer.status, obj=codec.loads(raw))
    except ValueError:
        text = raw.decode(errors="replace").strip()
        return Response(status=answer.status, obj=errors.status_error(answer.status, "", text).status)


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Object]]:
    rest = b""
    async for chunk in _chunks(answer):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in filter(None, lines):
            event = codec.loads(line)
            yield event["type"], event["object"]


# -- upgrades -------------------------------------------------------------------------------------------------------
async def _upgrade(backends: backend.Backends, apiservice: Object, request: Request, user: Identity,
                   raw: web.BaseRequest) -> web.StreamResponse:
    try:
        reader, writer = await backends.connect(apiservice)
    except backend.Unreachable as e:
        return web.Response(status=503, text=f"error dialing backend: {e}\n")
    try:
        lines = [f"{request.method} {target(request)} HTTP/1.1", f"Host: {backend.server_name(apiservice)}"]
        lines += [f"{name}: {value}" for name, value in headers(request, user, upgrade=True)]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        return await tunnel.switch(raw, reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError) as e:
        return web.Response(status=503, text=f"error dialing backend: {e}\n")
    finally:
        writer.close()
