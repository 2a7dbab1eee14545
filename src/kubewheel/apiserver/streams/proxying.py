"""One HTTP exchange passed on to a kubelet, a pod or a service's endpoint, streamed both ways (upstream's reverse proxy).

In: the client's Request, where it goes. Out: the backend's Response: hop-by-hop and CORS headers taken off, redirects and
links of pages rewritten to stay behind the proxy; StatusError 503 where the backend cannot be reached.
Called by: subresources/{proxy,log}.py.
"""

from __future__ import annotations

import gzip
import logging
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import yarl
from multidict import CIMultiDict

from kubewheel.api import errors
from kubewheel.apiserver.streams import html_links, kubelet, tunnel
from kubewheel.apiserver.streams.kubelet import Connector, DialError
from kubewheel.client.transport import Request, Response

log = logging.getLogger(__name__)

HOP_BY_HOP = {"connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
              "transfer-encoding", "upgrade"}
CORS = {"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
        "access-control-allow-origin"}
MAX_PAGE = 64 * 1024 * 1024  # bytes of an HTML page whose links are rewritten


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int | None  # None: the scheme's
    path: str  # escaped, no query
    context: Callable[[], ssl.SSLContext]
    prefix: str = ""  # what the client's path has before the backend's; "" for no rewriting

    @property
    def number(self) -> int:
        return self.port or (443 if self.scheme == "https" else 80)

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


async def exchange(connector: Connector, request: Request, target: Target) -> Response:
    query = request.raw_path.partition("?")[2]
    headers = _outgoing(request, target)
    body = request.stream if request.stream is not None else request.body
    if isinstance(body, dict):
        body = None
    if isinstance(body, bytes):
        headers.popall("Content-Length", None)  # the client library counts
    answer = await send(connector, request.method, target, query=query, headers=headers, body=body)
    return await _incoming(answer, request, target)


async def send(connector: Connector, method: str, target: Target, *, query: str = "", headers: CIMultiDict[str],
               body: AsyncIterator[bytes] | bytes | None = None) -> aiohttp.ClientResponse:
    """StatusError 503 `error trying to reach service: …`."""
    try:
        host, port = await connector.where(target.host, target.number)
        shown = f"[{host}]" if ":" in host else host
        url = yarl.URL(f"{target.scheme}://{shown}:{port}{target.path or '/'}" + (f"?{query}" if query else ""), encoded=True)
        return await connector.session().request(
            method, url, headers=headers, data=body, ssl=target.context() if target.scheme == "https" else True,
            allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None, connect=kubelet.DIAL_SECONDS))
    except (DialError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as e:
        raise errors.service_unavailable(f"error trying to reach service: {words_of(e, target)}") from e


def words_of(error: BaseException, target: Target) -> str:
    """What Go's transport says of an exchange that failed."""
    if isinstance(error, DialError):
        return str(error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(error, aiohttp.ClientConnectorError):
        return kubelet.dial_text(target.host, target.number, error.os_error)
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls: first record does not look like a TLS handshake"
    if isinstance(error, aiohttp.ClientResponseError):
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    if isinstance(error, (aiohttp.ClientConnectionResetError, ConnectionResetError, aiohttp.ClientOSError)):
        return "read: connection reset by peer"
    if isinstance(error, TimeoutError):
        return kubelet.dial_text(target.host, target.number, error)
    return str(error) or type(error).__name__


def _outgoing(request: Request, target: Target) -> CIMultiDict[str]:
    raw = request.hijack() if request.hijack is not None else None
    items = list(raw.headers.items()) if raw is not None else list(request.headers.items())
    dropped = HOP_BY_HOP | {"host", "authorization", "expect", "x-forwarded-for", "x-forwarded-uri"}
    for name, value in items:
        if name.lower() == "connection":
            dropped = dropped | {v.strip().lower() for v in value.split(",")}
    headers: CIMultiDict[str] = CIMultiDict(
        (k, v) for k, v in items if k.lower() not in dropped and not k.lower().startswith(tunnel.DROPPED_PREFIXES))
    headers["Host"] = request.headers.get("host") or target.netloc
    if raw is not None and (address := tunnel.forwarded_for(raw)):
        headers["X-Forwarded-For"] = address
    if target.prefix:
        headers["X-Forwarded-Uri"] = html_links.clean(target.prefix + "/" + target.path) + (
            "/" if target.path.endswith("/") else "")
    return headers


async def _incoming(answer: aiohttp.ClientResponse, request: Request, target: Target) -> Response:
    dropped = HOP_BY_HOP | CORS
    for value in answer.headers.getall("Connection", []):
        dropped = dropped | {v.strip().lower() for v in value.split(",")}
    headers: CIMultiDict[str] = CIMultiDict((k, v) for k, v in answer.headers.items() if k.lower() not in dropped)

    def change(url: str) -> str:
        return html_links.rewrite_url(url, prefix=target.prefix, source_host=target.netloc,
                                      request_host=request.headers.get("host", ""))

    location, kind = headers.get("Location", ""), headers.get("Content-Type", "").partition(";")[0].strip()
    if target.prefix and location:
        headers["Location"] = change(location)
    elif target.prefix and kind == "text/html" and request.method != "HEAD":
        page = await _page(answer, headers.get("Content-Encoding", ""), change)
        if page is not None:
            headers.popall("Content-Length", None)
            return Response(status=answer.status, headers=_as_dict(headers), body=page)
    return Response(status=answer.status, headers=_as_dict(headers), chunks=through(answer))


def _as_dict(headers: CIMultiDict[str]) -> dict[str, str]:
    """As they are: names may come twice (Set-Cookie), and http.py passes all of them on."""
    return headers  # type: ignore[return-value]


_OPEN: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes, "gzip": gzip.decompress, "deflate": lambda raw: zlib.decompress(raw, -zlib.MAX_WBITS)}


def _deflate(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


_CLOSE: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.compress, "deflate": _deflate}


async def _page(answer: aiohttp.ClientResponse, encoding: str, change: Callable[[str], str]) -> bytes | None:
    """The page with its links rewritten; None where it is in an encoding that is not understood."""
    if encoding not in _OPEN:
        return None
    try:
        raw = b""
        async for part in answer.content.iter_any():
            raw += part
            if len(raw) > MAX_PAGE:
                raise OSError("it is too large")
        text = _OPEN[encoding](raw).decode("utf-8", "surrogateescape")
        return _CLOSE[encoding](html_links.rewrite(text, change).encode("utf-8", "surrogateescape"))
    except (aiohttp.ClientError, OSError, zlib.error, EOFError) as e:
        raise errors.status_error(500, "", f"the backend's page broke off: {e}") from e
    finally:
        answer.release()


async def through(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes. ConnectionResetError where the backend cuts it off: the client's is cut off as well."""
    whole = False
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
        whole = True
    except aiohttp.ClientError as e:
        raise ConnectionResetError(f"the backend cut its answer off: {e}") from e
    finally:
        if whole:
            answer.release()
        else:
            answer.close()
