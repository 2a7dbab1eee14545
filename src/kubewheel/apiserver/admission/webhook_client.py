"""Calling a webhook: a URL or a Service, over TLS with the configuration's own CA.

In: clientConfig, a review, a time limit. Out: the review's response. CallFailed says why not. Called by: webhook.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import webhook_answer
from kubewheel.lib import tls

MAX_CONTEXTS = 256
MAX_REQUESTS = 10  # of one call that is sent from one place to the next
MAX_RETRIES = 10  # of one call that is told to come again
MAX_HEADER = 1024 * 1024
SCHEME = "pkg/util/webhook/client.go:71"  # as upstream calls where it looks kinds up
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})


class CallFailed(Exception):
    """The webhook could not be asked, or did not answer as it should."""


class Unresolved(Exception):
    """A clientConfig's Service leads nowhere."""


@dataclass(frozen=True, slots=True)
class Target:
    url: str  # what is shown in messages: https://name.ns.svc:443/path
    host: str  # where to connect
    port: int
    server_name: str  # the name its certificate must bear


class WebhookClient:
    def __init__(self, caches: Any, client: Any) -> None:
        self._caches = caches
        self._client = client
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    async def call(self, config: Object, review: Object, *, seconds: int, mutating: bool) -> Object:
        """The `response` of the answered AdmissionReview."""
        try:
            answer = await self.post(config, review, seconds=seconds)
        except CallFailed as e:
            raise CallFailed(f"failed to call webhook: {e}") from e
        problem = webhook_answer.invalid(answer, review, mutating=mutating)
        if problem:
            raise CallFailed(f"received invalid webhook response: {problem}")
        return answer.get("response") or {}

    async def post(self, config: Object, review: Object, *, seconds: int) -> Object:
        """The whole answer: a review of the same kind, or one that does not say what it is, its fields of their types."""
        shown = _address(config)
        asked = [f"{shown}{'&' if '?' in shown else '?'}timeout={seconds}s"]  # the last is the one that is told of
        try:
            async with asyncio.timeout(seconds):
                target = await self._target(config, shown)
                answer = await self._answer(target, asked, config, codec.dumps(review))
        except TimeoutError as e:
            raise CallFailed(f'Post "{asked[-1]}": context deadline exceeded') from e
        except (aiohttp.ClientError, OSError, ssl.SSLError) as e:
            raise CallFailed(f'Post "{asked[-1]}": {_why(e)}') from e
        except Unresolved as e:
            raise CallFailed(f'Post "{asked[-1]}": {e}') from e
        try:
            made = webhook_answer.recognized(answer)
            version, kind = review["apiVersion"], review["kind"]
            group = version.partition("/")[0]
            webhook_answer.typed(made, version, kind, (f"{group}/v1", f"{group}/v1beta1"), SCHEME)
        except webhook_answer.Unreadable as e:
            raise CallFailed(str(e)) from e
        return made

    async def _answer(self, target: Target, asked: list[str], config: Object, body: bytes) -> bytes:
        """Goes where the webhook points, and asks again when it is told to wait, as upstream's HTTP client does."""
        method, retries = "POST", 0
        async with aiohttp.ClientSession(max_line_size=MAX_HEADER, max_field_size=MAX_HEADER) as session:
            while True:
                status, headers, data = await self._exchange(session, method, target, asked[-1], config, body)
                location, again = headers.get("Location", ""), headers.get("Retry-After", "")
                if status in _REDIRECTIONS and location:
                    if len(asked) >= MAX_REQUESTS:
                        raise CallFailed(f'Post "{location}": stopped after {MAX_REQUESTS} redirects')
                    method = method if status in (307, 308) else "GET"
                    asked.append(urljoin(asked[-1], location))
                    target = _elsewhere(target, asked[-2], asked[-1])
                elif (status == 429 or status >= 500) and again.isdecimal() and retries < MAX_RETRIES:
                    retries += 1
                    method, target, asked[:] = "POST", await self._target(config, target.url), asked[:1]
                    await asyncio.sleep(int(again))
                else:
                    break
        text = headers.get("Content-Type", "")
        if not 200 <= status <= 206:
            raise CallFailed(webhook_answer.refused(status, data, text))
        if not data:
            raise CallFailed(f"0-length response with status code: {status} and content type: "
                             f"{text or 'application/json'}")
        return data

    async def _exchange(self, session: aiohttp.ClientSession, method: str, target: Target, url: str, config: Object, body: bytes
                        ) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise CallFailed(f'Post "{url}": unsupported protocol scheme "{parts.scheme}"')
        host = f"[{target.host}]" if ":" in target.host else target.host
        reach = urlunsplit((parts.scheme, f"{host}:{target.port}", parts.path, parts.query, ""))
        headers = {"content-type": "application/json", "accept": "application/json, */*", "accept-encoding": "gzip",
                   "user-agent": "kube-apiserver-admission", "host": parts.netloc}
        async with session.request(method, reach, data=body if method == "POST" else None, headers=headers,
                                   ssl=self._context(config), allow_redirects=False,
                                   server_hostname=target.server_name) as response:
            try:
                return response.status, response.headers, await response.read()
            except aiohttp.ClientPayloadError as e:
                why = "gzip: invalid header" if "content-encoding" in str(e) else "unexpected EOF"
                raise CallFailed(f"unexpected error when reading response body. Please retry. Original error: {why}") from e

    def _context(self, config: Object) -> ssl.SSLContext:
        bundle = base64.b64decode(config.get("caBundle") or "")
        key = hashlib.sha256(bundle).hexdigest()
        context = self._contexts.get(key)
        if context is None:
            try:
                context = tls.client_context(ca=bundle or None)
            except (ssl.SSLError, ValueError) as e:
                raise CallFailed(f"unable to load root certificates: {e}") from e
            self._contexts[key] = context
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        return context

    async def _target(self, config: Object, shown: str) -> Target:
        if config.get("url"):
            parts = urlsplit(shown)
            host = parts.hostname or ""
            return Target(shown, host, parts.port or 443, host)
        service = config.get("service") or {}
        namespace, name = service.get("namespace", ""), service.get("name", "")
        host, at = await self._resolve(namespace, name, int(service.get("port") or 443))
        return Target(shown, host, at, f"{name}.{namespace}.svc")

    async def _resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """A ready endpoint's address. The server does not need the node's service rules to reach its webhooks."""
        service = self._caches.get("services").get(namespace, name) \
            or await self._client.find("services", name, namespace=namespace)
        if service is None:
            raise Unresolved(f'service "{name}" not found')
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return spec.get("externalName", ""), port
        wanted = next((p for p in spec.get("ports") or () if p.get("port") == port), None)
        if wanted is None:
            raise Unresolved(f"no service port {port} found for service \"{name}\"")
        slices = [s for s in (await self._caches.synced("endpointslices.discovery.k8s.io")).list(namespace)
                  if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]
        for piece in slices:
            at = next((p["port"] for p in piece.get("ports") or ()
                       if (p.get("name") or "") == (wanted.get("name") or "") and p.get("port")), None)
            ready = [e for e in piece.get("endpoints") or () if (e.get("conditions") or {}).get("ready") is not False]
            if at is not None and ready:
                return ready[0]["addresses"][0], at
        raise Unresolved(f'no endpoints available for service "{name}"')


def _elsewhere(target: Target, before: str, url: str) -> Target:
    """Where a redirection leads; the certificate of a Service bears its name wherever it sends us."""
    parts = urlsplit(url)
    if parts.netloc == urlsplit(before).netloc:
        return target
    host = parts.hostname or ""
    return Target(target.url, host, parts.port or (80 if parts.scheme == "http" else 443),
                  target.server_name if target.server_name.endswith(".svc") else host)


def _address(config: Object) -> str:
    """As messages show it: https://name.namespace.svc:443/path."""
    if url := config.get("url"):
        return str(url)
    service = config.get("service") or {}
    path = "/" + (service.get("path") or "").lstrip("/")
    return f"https://{service.get('name', '')}.{service.get('namespace', '')}.svc:{int(service.get('port') or 443)}{path}"


def _why(e: BaseException) -> str:
    """In the words of upstream's HTTP client."""
    if isinstance(e, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {_of_certificate(e.certificate_error)}"
    if isinstance(e, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {e.host}: no such host"
    if isinstance(e, aiohttp.ClientConnectorError):
        number = _errno(e.os_error)
        if number is None:  # the other side hung up while TLS was spoken of
            return "EOF"
        return f"dial tcp {e.host}:{e.port}: connect: {os.strerror(number).lower()}"
    if isinstance(e, (aiohttp.ServerDisconnectedError, ConnectionResetError)):
        return "EOF"
    if isinstance(e, aiohttp.ClientResponseError):  # what it said was no HTTP
        return f"net/http: HTTP/1.x transport connection broken: {' '.join(e.message.split())}"
    return str(e) or type(e).__name__


def _errno(error: OSError) -> int | None:
    """asyncio tells several attempts' errors as one, whose number is the first's."""
    if error.errno:
        return error.errno
    several = getattr(error, "exceptions", ())
    return next((inner.errno for inner in several if inner.errno), None)


def _of_certificate(error: Exception) -> str:
    text = str(getattr(error, "verify_message", "") or error)
    if "unable to get" in text or "self-signed" in text or "self signed" in text:
        return "certificate signed by unknown authority"
    if found := re.search(r"(?:Hostname|IP address) mismatch, certificate is not valid for '([^']*)'", text):
        return f"certificate is not valid for any names, but wanted to match {found[1]}"
    if "purpose" in text:
        return "certificate specifies an incompatible key usage"
    if "expired" in text or "not yet valid" in text:
        return "certificate has expired or is not yet valid"
    return text
