"""From the API server to a kubelet: which address, which TLS identity.

In: Node objects, Options. Out: (host, port) and an SSLContext; plain answers or a tunnel (tunnel.py).
Called by: subresources/node_streams.py.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import aiohttp
import yarl

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.options import Options
from kubewheel.client.transport import Response

HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
              "transfer-encoding", "upgrade", "content-length", "host", "authorization"}


class Connector:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._ssl: ssl.SSLContext | None = None

    def ssl(self) -> ssl.SSLContext:
        """Our client certificate towards kubelets; their serving certificate is checked where a CA is configured."""
        if self._ssl is None:
            options = self._options
            context = ssl.create_default_context(cafile=options.kubelet_certificate_authority or None)
            context.check_hostname = False
            if not options.kubelet_certificate_authority:
                context.verify_mode = ssl.CERT_NONE  # upstream's default without --kubelet-certificate-authority
            if options.kubelet_client_certificate:
                context.load_cert_chain(options.kubelet_client_certificate, options.kubelet_client_key)
            self._ssl = context
        return self._ssl

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def address(self, node: Object) -> tuple[str, int]:
        status = node.get("status") or {}
        by_type = {a["type"]: a["address"] for a in status.get("addresses") or ()}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 10250
        for kind in self._options.kubelet_preferred_address_types:
            if kind in by_type:
                return by_type[kind], port
        raise errors.internal(f"no preferred addresses found; known addresses: {list(by_type.values())}")

    async def fetch(self, method: str, url: str, *, headers: dict[str, str], body: AsyncIterator[bytes] | bytes | None,
                    what: str) -> Response:
        """A plain (not upgraded) exchange, streamed through."""
        kept = {k: v for k, v in headers.items() if k not in HOP_BY_HOP}
        try:
            answer = await self.session().request(
                method, yarl.URL(url, encoded=True), headers=kept, data=body, ssl=self.ssl(), allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=10))
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            raise errors.service_unavailable(f"error trying to reach service: {what}: {e}") from e
        out = {k.lower(): v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
        return Response(status=answer.status, headers=out, chunks=_through(answer))


async def _through(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the other end cut the stream: ours ends as well
    finally:
        answer.close()
