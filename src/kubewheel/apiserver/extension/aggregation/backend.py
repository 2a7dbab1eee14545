"""HTTP and TLS towards extension API servers.

In: an APIService, and a request's parts. Out: aiohttp answers, or raw connections for upgrades; Unreachable says why
not. Called by: proxy.py, availability.py, remote.py, openapi.py.
The server named by `spec.service` must bear the name `<service>.<namespace>.svc`, signed by `spec.caBundle` (else by
one of the system's authorities); it is shown the front-proxy client certificate (--proxy-client-cert-file).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import yarl

from kubewheel.api.resource import Object
from kubewheel.apiserver.extension.aggregation import resolver
from kubewheel.client.transport import Identity
from kubewheel.lib import tls

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

MAX_CONTEXTS = 256
CONNECT_SECONDS = 10.0
SLICES = "endpointslices.discovery.k8s.io"
AGGREGATOR = Identity("system:kube-aggregator", groups=("system:masters",))  # asks for discovery and OpenAPI


class Unreachable(Exception):
    """The extension server could not be asked."""


class Backends:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[tuple[str, bool], ssl.SSLContext] = OrderedDict()

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- where ----------------------------------------------------------------------------------------------------
    def address(self, apiservice: Object) -> resolver.Address:
        """Unreachable where the Service is missing or leads nowhere."""
        namespace, name, port = service_of(apiservice)
        options = self._server.options
        if (namespace, name) == ("default", "kubernetes"):
            return "127.0.0.1", options.secure_port  # ourselves
        service = self._server.caches.get("services").get(namespace, name)
        if service is None:
            raise Unreachable(f'service "{name}" not found')
        try:
            if not options.enable_aggregator_routing:
                return resolver.cluster_ip(service, port)
            return resolver.endpoint(service, self.slices(namespace, name), port, self._server.random)
        except resolver.Unresolved as e:
            raise Unreachable(str(e)) from e

    def slices(self, namespace: str, name: str) -> list[Object]:
        return [s for s in self._server.caches.get(SLICES).list(namespace)
                if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]

    def url(self, apiservice: Object, path: str) -> str:
        host, port = self.address(apiservice)
        return f"https://{f'[{host}]' if ':' in host else host}:{port}{path}"

    # -- how ------------------------------------------------------------------------------------------------------
    def context(self, apiservice: Object, *, insecure: bool = False) -> ssl.SSLContext:
        spec = apiservice["spec"]
        insecure = insecure or bool(spec.get("insecureSkipTLSVerify"))
        key = ("" if insecure else spec.get("caBundle") or "", insecure)
        context = self._contexts.get(key)
        if context is None:
            options = self._server.options
            try:
                context = tls.client_context(
                    ca=base64.b64decode(key[0]) or None, insecure=insecure,
                    cert_file=Path(options.proxy_client_certificate) if options.proxy_client_certificate else None,
                    key_file=Path(options.proxy_client_key) if options.proxy_client_key else None)
            except (OSError, ValueError) as e:
                raise Unreachable(f"unable to load root certificates: {e}") from e
            self._contexts[key] = context
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        return context

    async def request(self, apiservice: Object, method: str, path: str, *, headers: Mapping[str, str] | list[Any],
                      body: Any = None, insecure: bool = False, seconds: float | None = None) -> aiohttp.ClientResponse:
        """The answer's head; its body is still to be read (and the answer to be closed)."""
        url = self.url(apiservice, path)
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
                                                  skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding",
                                                                     "Content-Type"))
        try:
            return await self._session.request(
                method, yarl.URL(url, encoded=True), headers=headers, data=body, allow_redirects=False,
                ssl=self.context(apiservice, insecure=insecure), server_hostname=server_name(apiservice),
                timeout=aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS))
        except TimeoutError as e:
            raise Unreachable(f'{method.title()} "{url}": context deadline exceeded') from e
        except (aiohttp.ClientError, OSError) as e:
            raise Unreachable(f'{method.title()} "{url}": {reason(e)}') from e

    async def fetch(self, apiservice: Object, path: str, *, accept: str, etag: str = "", insecure: bool = False,
                    seconds: float = 5.0) -> tuple[int, Mapping[str, str], bytes]:
        """A whole document, asked for by the aggregator itself."""
        headers = {"Accept": accept, **proxy_headers(AGGREGATOR)} | ({"If-None-Match": etag} if etag else {})
        try:
            async with asyncio.timeout(seconds):
                answer = await self.request(apiservice, "GET", path, headers=headers, insecure=insecure)
                async with answer:
                    return answer.status, answer.headers, await answer.read()
        except TimeoutError as e:
            raise Unreachable(f'Get "{self.url(apiservice, path)}": context deadline exceeded (Client.Timeout exceeded '
                              "while awaiting headers)") from e
        except aiohttp.ClientError as e:
            raise Unreachable(reason(e)) from e

    async def connect(self, apiservice: Object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection, for an upgrade."""
        host, port = self.address(apiservice)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(host, port, ssl=self.context(apiservice),
                                                     server_hostname=server_name(apiservice))
        except TimeoutError as e:
            raise Unreachable(f"dial tcp {host}:{port}: i/o timeout") from e
        except OSError as e:
            raise Unreachable(f"dial tcp {host}:{port}: {reason(e)}") from e


def service_of(apiservice: Object) -> tuple[str, str, int]:
    """(namespace, name, port)."""
    service = apiservice["spec"]["service"]
    return service.get("namespace", ""), service.get("name", ""), int(service.get("port") or 443)


def server_name(apiservice: Object) -> str:
    namespace, name, _ = service_of(apiservice)
    return f"{name}.{namespace}.svc"


def proxy_headers(user: Identity) -> dict[str, str]:
    """Who somebody is, one value a header; see `proxy_header_list` for repeated ones."""
    return dict(proxy_header_list(user))


def proxy_header_list(user: Identity) -> list[tuple[str, str]]:
    out = [("X-Remote-User", user.name)]
    if user.uid:
        out.append(("X-Remote-Uid", user.uid))
    out += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        # Header names hold few characters: the rest is percent-encoded, as the request header authenticator expects.
        out += [(f"X-Remote-Extra-{quote(key.lower(), safe='!#$&*+.^_`|~-')}", value) for value in values]
    return out


def reason(e: BaseException) -> str:
    """In the words of Go's net/http."""
    if isinstance(e, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {e.certificate_error}"
    if isinstance(e, aiohttp.ClientConnectorError):
        what = (e.os_error.strerror or str(e.os_error)).lower()
        return f"dial tcp {e.host}:{e.port}: connect: {what}"
    if isinstance(e, ssl.SSLError):
        return f"tls: {e.reason or e}"
    if isinstance(e, OSError) and e.strerror:
        return f"connect: {e.strerror.lower()}"
    return str(e) or type(e).__name__
