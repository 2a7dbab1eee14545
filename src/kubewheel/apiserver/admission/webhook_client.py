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
        answer = await self.post(config, review, seconds=seconds)
        problem = _undecodable(answer, review["apiVersion"])
        if problem:
            raise CallFailed(f"failed to call webhook: {problem}")
        response = answer.get("response")
        problem = _invalid(answer, response, review, mutating=mutating)
        if problem:
            raise CallFailed(f"received invalid webhook response: {problem}")
        return response or {}

    async def post(self, config: Object, review: Object, *, seconds: int) -> Object:
        """The whole answer, whatever kind of review it is."""
        shown = _address(config)
        url = f"{shown}{'&' if '?' in shown else '?'}timeout={seconds}s"
        try:
            async with asyncio.timeout(seconds):
                target = await self._target(config, shown)
                return await self._post(target, url, config, codec.dumps(review))
        except TimeoutError as e:
            raise CallFailed(f'failed to call webhook: Post "{url}": context deadline exceeded') from e
        except (aiohttp.ClientError, OSError, ssl.SSLError) as e:
            raise CallFailed(f'failed to call webhook: Post "{url}": {_why(e)}') from e
        except Unresolved as e:
            raise CallFailed(f'failed to call webhook: Post "{url}": {e}') from e

    async def _post(self, target: Target, url: str, config: Object, body: bytes) -> Object:
        parts = urlsplit(url)
        host = f"[{target.host}]" if ":" in target.host else target.host
        reach = urlunsplit((parts.scheme, f"{host}:{target.port}", parts.path, parts.query, ""))
        headers = {"content-type": "application/json", "accept": "application/json, */*", "host": parts.netloc}
        async with aiohttp.ClientSession() as session:
            async with session.post(reach, data=body, headers=headers, ssl=self._context(config), allow_redirects=False,
                                    server_hostname=target.server_name) as response:
                data = await response.read()
                text = response.headers.get("Content-Type", "")
                if not 200 <= response.status <= 206:
                    raise CallFailed(f"failed to call webhook: {_refused(response.status, data, text)}")
        if not data:
            raise CallFailed(f"failed to call webhook: 0-length response with status code: {response.status} and content type: "
                             f"{text}")
        try:
            answer = codec.loads(data)
        except ValueError:
            answer = data.decode(errors="replace")  # upstream reads YAML: a bare word is a text
        if not isinstance(answer, dict):
            kind = {str: "string", list: "array", bool: "bool", type(None): "null"}.get(type(answer), "number")
            raise CallFailed(
                f"failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal {kind} into Go "
                'value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
                'Kind string "json:\\"kind,omitempty\\"" }')
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


_REFUSALS = {
    400: "the server rejected our request for an unknown reason", 404: "the server could not find the requested resource",
    401: "the server has asked for the client to provide credentials", 405: "the server does not allow this method on the "
    "requested resource", 406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict", 415: "the server was unable to respond with a content type that the client supports",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request"}


def _refused(status: int, data: bytes, content_type: str) -> str:
    """What an answer that is no success says: a Status its message, others what their code means."""
    try:
        told = codec.loads(data)
    except ValueError:
        told = None
    if isinstance(told, dict) and told.get("kind") == "Status" and told.get("message"):
        return str(told["message"])
    plain = not content_type or content_type.startswith("text/")
    words = data.decode(errors="replace").strip() if plain else "unknown"
    if status == 403:
        return words
    if status in _REFUSALS:
        return _REFUSALS[status]
    if status >= 500:
        return f'an error on the server ("{words}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "allowed": ((bool,), "bool"), "uid": ((str,), "types.UID"), "patchType": ((str,), "v1.PatchType"),
    "patch": ((str,), "[]uint8"),
    "warnings": ((list,), "[]string"), "auditAnnotations": ((dict,), "map[string]string"), "status": ((dict,), "v1.Status")}


def _undecodable(answer: Object, version: str) -> str:
    """Why the answer is no AdmissionReview of this version; "": it is one, or does not say what it is."""
    told, kind = str(answer.get("apiVersion") or ""), str(answer.get("kind") or "")
    if kind and (told not in VERSIONS or kind != "AdmissionReview"):
        return f'no kind "{kind}" is registered for version "{told}" in scheme "pkg/util/webhook/client.go:71"'
    if told and told != version:
        mine, theirs = told.rpartition("/")[2], version.rpartition("/")[2]
        return f"converting ({mine}.AdmissionReview) to ({theirs}.AdmissionReview): unknown conversion"
    response = answer.get("response")
    if response is None:
        return ""
    if not isinstance(response, dict):
        return (f"json: cannot unmarshal {_json_kind(response)} into Go struct field AdmissionReview.response of type "
                f"{version.rpartition('/')[2]}.AdmissionResponse")
    for field, (classes, name) in _FIELDS.items():
        value = response.get(field)
        if value is not None and not isinstance(value, classes):
            return (f"json: cannot unmarshal {_json_kind(value)} into Go struct field AdmissionResponse.response.{field} of type "
                    f"{name}")
    return _not_base64(response.get("patch") or "")


def _json_kind(value: object) -> str:
    return {str: "string", list: "array", dict: "object", bool: "bool"}.get(type(value), "number")


_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*")


def _not_base64(text: str) -> str:
    found = _BASE64.match(text)
    end = found.end() if found is not None else 0
    if end < len(text):
        return f"illegal base64 data at input byte {end}"
    return "" if len(text) % 4 == 0 else f"illegal base64 data at input byte {len(text) // 4 * 4}"


def _invalid(answer: Object, response: Any, review: Object, *, mutating: bool) -> str:
    """What is wrong with a decoded answer; v1beta1's were never asked for an id or a patch's type."""
    if not isinstance(response, dict):
        return "webhook response was absent"
    if review["apiVersion"] != VERSIONS[0]:
        if response.get("patch"):
            response["patchType"] = "JSONPatch"
        return ""
    uid = review["request"]["uid"]
    if response.get("uid", "") != uid:
        return f'expected response.uid="{uid}", got "{response.get("uid") or ""}"'
    if (answer.get("apiVersion"), answer.get("kind")) != (VERSIONS[0], "AdmissionReview"):
        group, slash, version = str(answer.get("apiVersion") or "").partition("/")
        shown = f"{group}/{version}" if slash else f"/{group}"
        return (f"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {shown}, "
                f"Kind={answer.get('kind') or ''}")
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        return ("validating webhook may not return response.patch" if patch else
                "validating webhook may not return response.patchType" if kind is not None else "")
    if patch and kind is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and kind is not None:
        return "webhook returned response.patchType but not response.patch"
    return 'webhook returned invalid response.patchType of ""' if kind == "" else ""


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
    if isinstance(e, aiohttp.ServerDisconnectedError):
        return "EOF"
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
    if "expired" in text or "not yet valid" in text:
        return "certificate has expired or is not yet valid"
    return text
