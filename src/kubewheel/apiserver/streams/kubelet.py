"""From the API server to kubelets, pods and services: which address, which TLS identity, how a failed dial is told.

In: Node objects, Options. Out: open connections, (host, port), SSL contexts.
Called by: tunnel.py, proxying.py, subresources/{log,exec,portforward,proxy}.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import Awaitable, Callable

import aiohttp

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.options import Options

DIAL_SECONDS = 30.0  # upstream's dialer
Resolve = Callable[[str, int], Awaitable[tuple[str, int]]]


class DialError(Exception):
    """No connection; the text is what Go's dialer says."""


class Connector:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._kubelet: ssl.SSLContext | None = None
        self._any: ssl.SSLContext | None = None
        self.resolve: Resolve | None = None  # where to connect in place of an address (tests: nodes without machines)

    # -- TLS -------------------------------------------------------------------------------------------------
    def kubelet_context(self, *, verify: bool = True) -> ssl.SSLContext:
        """Our client certificate towards kubelets; their serving certificate is checked where a CA is configured."""
        if not verify:
            return self._made(verify=False)
        if self._kubelet is None:
            self._kubelet = self._made(verify=True)
        return self._kubelet

    def _made(self, *, verify: bool) -> ssl.SSLContext:
        options = self._options
        context = ssl.create_default_context(cafile=options.kubelet_certificate_authority or None)
        context.check_hostname = False
        if not verify or not options.kubelet_certificate_authority:
            context.verify_mode = ssl.CERT_NONE  # upstream's default without --kubelet-certificate-authority
        if options.kubelet_client_certificate:
            context.load_cert_chain(options.kubelet_client_certificate, options.kubelet_client_key)
        return context

    def any_context(self) -> ssl.SSLContext:
        """Towards pods and services: any certificate will do (addresses, not names, are dialled), none of ours is shown."""
        if self._any is None:
            self._any = ssl.create_default_context()
            self._any.check_hostname = False
            self._any.verify_mode = ssl.CERT_NONE
        return self._any

    # -- connections -----------------------------------------------------------------------------------------
    async def where(self, host: str, port: int) -> tuple[str, int]:
        """The address to connect to. DialError where it is known already that nobody listens."""
        if self.resolve is None:
            return host, port
        try:
            return await self.resolve(host, port)
        except OSError as e:
            raise dial_error(host, port, e) from e

    async def open(self, host: str, port: int,
                   context: Callable[[], ssl.SSLContext] | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """DialError where there is no connection. `context` makes the TLS context, if there is to be TLS."""
        address = await self.where(host, port)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                return await asyncio.open_connection(*address, ssl=context() if context is not None else None)
        except (OSError, TimeoutError) as e:
            raise dial_error(host, port, e) from e

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No cookies: what one user's backend sets must not come back with another's request.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                max_line_size=65536, max_field_size=65536)
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- kubelets --------------------------------------------------------------------------------------------
    def address(self, node: Object) -> tuple[str, int]:
        """A node's kubelet: the first preferred type of address that it has. Upstream's error where it has none."""
        status = node.get("status") or {}
        by_type = {a["type"]: a["address"] for a in status.get("addresses") or ()}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or 10250
        for kind in self._options.kubelet_preferred_address_types:
            if kind in by_type:
                return by_type[kind], port
        known = " ".join(f"{{{a['type']} {a['address']}}}" for a in status.get("addresses") or ())
        raise errors.status_error(500, "", f"no preferred addresses found; known addresses: [{known}]")


def node_address(call: Call, name: str) -> tuple[str, int]:
    """The kubelet of a node by name; StatusError 404 where there is no such node."""
    hub = call.server.registry.lookup(Gvr("", "v1", "nodes"))
    assert hub is not None
    node = call.server.watch_cache.resource(hub.registry).entries.get(f"/registry/{hub.registry}/{name}")
    if node is None:
        raise errors.not_found("nodes", name)
    return call.server.kubelets.address(node.obj)


def dial_error(host: str, port: int | str, error: BaseException) -> DialError:
    return DialError(dial_text(host, port, error))


def dial_text(host: str, port: int | str, error: BaseException) -> str:
    """`dial tcp 10.0.0.1:80: connect: connection refused`, as Go's net package has it."""
    shown = joined(host, port)
    if isinstance(error, TimeoutError):
        return f"dial tcp {shown}: i/o timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "tls: first record does not look like a TLS handshake"
    if not _is_address(host):
        return f"dial tcp: lookup {host}: no such host"
    number = getattr(error, "errno", None)
    text = os.strerror(number).lower() if isinstance(number, int) and number > 0 else str(error).lower()
    return f"dial tcp {shown}: connect: {text}"


def joined(host: str, port: int | str) -> str:
    """Go's net.JoinHostPort."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
