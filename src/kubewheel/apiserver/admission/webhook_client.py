"""Calling a webhook: a URL or a Service, over TLS with the configuration's own CA.

In: clientConfig, a review, a time limit. Out: the review's response. CallFailed says why not. Called by: webhook.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.lib import tls

MAX_CONTEXTS = 256


class CallFailed(Exception):
    """The webhook could not be asked, or did not answer as it should."""


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

    async def call(self, config: Object, review: Object, *, seconds: int) -> Object:
        """The `response` of the answered AdmissionReview."""
        answer = await self.post(config, review, seconds=seconds)
        response = answer.get("response")
        if answer.get("kind") != "AdmissionReview" or not isinstance(response, dict):
            raise CallFailed("received invalid webhook response: webhook response was absent")
        if response.get("uid") != review["request"]["uid"]:
            raise CallFailed(f'received invalid webhook response: expected response.uid="{review["request"]["uid"]}", got '
                             f'"{response.get("uid", "")}"')
        return response

    async def post(self, config: Object, review: Object, *, seconds: int) -> Object:
        """The whole answer, whatever kind of review it is."""
        target = await self._target(config)
        url = f"{target.url}{'&' if '?' in target.url else '?'}timeout={seconds}s"
        try:
            async with asyncio.timeout(seconds):
                return await self._post(target, url, config, codec.dumps(review))
        except TimeoutError as e:
            raise CallFailed(f'failed to call webhook: Post "{url}": context deadline exceeded') from e
        except (aiohttp.ClientError, OSError, ssl.SSLError) as e:
            raise CallFailed(f'failed to call webhook: Post "{url}": {_why(e)}') from e

    async def _post(self, target: Target, url: str, config: Object, body: bytes) -> Object:
        parts = urlsplit(url)
        host = f"[{target.host}]" if ":" in target.host else target.host
        reach = urlunsplit((parts.scheme, f"{host}:{target.port}", parts.path, parts.query, ""))
        headers = {"content-type": "application/json", "accept": "application/json", "host": parts.netloc}
        async with aiohttp.ClientSession() as session:
            async with session.post(reach, data=body, headers=headers, ssl=self._context(config), allow_redirects=False,
                                    server_hostname=target.server_name) as response:
                data = await response.read()
                if response.status != 200:
                    text = data.decode(errors="replace").strip() or "the server responded without a message"
                    raise CallFailed(f"failed to call webhook: the server rejected our request: {response.status}: {text}")
        try:
            answer = codec.loads(data)
        except ValueError as e:
            raise CallFailed(f"failed to call webhook: the answer is no JSON: {e}") from e
        if not isinstance(answer, dict):
            raise CallFailed("failed to call webhook: the answer is no AdmissionReview")
        return answer

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

    async def _target(self, config: Object) -> Target:
        if url := config.get("url"):
            parts = urlsplit(url)
            host = parts.hostname or ""
            return Target(url, host, parts.port or 443, host)
        service = config.get("service") or {}
        namespace, name = service.get("namespace", ""), service.get("name", "")
        port = int(service.get("port") or 443)
        server_name = f"{name}.{namespace}.svc"
        path = "/" + (service.get("path") or "").lstrip("/")
        host, at = await self._resolve(namespace, name, port)
        return Target(f"https://{server_name}:{port}{path}", host, at, server_name)

    async def _resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """A ready endpoint's address. The server does not need the node's service rules to reach its webhooks."""
        service = self._caches.get("services").get(namespace, name) \
            or await self._client.find("services", name, namespace=namespace)
        if service is None:
            raise CallFailed(f'failed to call webhook: service "{name}" not found')
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return spec.get("externalName", ""), port
        wanted = next((p for p in spec.get("ports") or () if p.get("port") == port), None)
        if wanted is None:
            raise CallFailed(f"failed to call webhook: no service port {port} found for service \"{name}\"")
        slices = [s for s in (await self._caches.synced("endpointslices.discovery.k8s.io")).list(namespace)
                  if (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]
        for piece in slices:
            at = next((p["port"] for p in piece.get("ports") or ()
                       if (p.get("name") or "") == (wanted.get("name") or "") and p.get("port")), None)
            ready = [e for e in piece.get("endpoints") or () if (e.get("conditions") or {}).get("ready") is not False]
            if at is not None and ready:
                return ready[0]["addresses"][0], at
        raise CallFailed(f'failed to call webhook: no endpoints available for service "{name}"')


def _why(e: BaseException) -> str:
    if isinstance(e, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {e.certificate_error}"
    if isinstance(e, aiohttp.ClientConnectorError):
        return f"dial tcp {e.host}:{e.port}: connect: {e.os_error.strerror or e.os_error}"
    return str(e) or type(e).__name__
