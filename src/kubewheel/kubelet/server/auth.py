"""Who may ask this kubelet: client certificates of the cluster CA, bearer tokens by TokenReview; then the API server
decides by SubjectAccessReview on nodes/proxy, nodes/log, nodes/stats, nodes/metrics … as upstream maps paths.

In: aiohttp requests. Out: the user; Refused 401, 403 or 500 in upstream's words. Called by: server.py (middleware).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubewheel.api import errors
from kubewheel.client.client import Client
from kubewheel.kubelet.options import Options
from kubewheel.lib.streams.upgrade import Refused

log = logging.getLogger(__name__)

TTL_ALLOWED, TTL_DENIED, TTL_TOKEN = 300.0, 30.0, 120.0
REMEMBERED = 4096  # answers of either kind; tokens that nobody knows must not fill the memory


@dataclass(frozen=True, slots=True)
class User:
    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)


VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# Path prefix -> node subresources that allow it, the finest first (KubeletFineGrainedAuthz).
SUBRESOURCES = (
    ("/stats", ("stats",)), ("/metrics", ("metrics",)), ("/logs", ("log",)), ("/checkpoint", ("checkpoint",)),
    ("/healthz", ("healthz", "proxy")), ("/configz", ("configz", "proxy")), ("/pods", ("pods", "proxy")),
    ("/runningpods", ("pods", "proxy")), ("", ("proxy",)),
)


def subresources(path: str) -> tuple[str, ...]:
    for prefix, names in SUBRESOURCES:
        if path == prefix or path.startswith(prefix + "/") or not prefix:
            return names
    return ("proxy",)


class Auth:
    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._options = options
        self._tokens: dict[bytes, tuple[User | None, float]] = {}
        self._decisions: dict[tuple[str, tuple[str, ...], str, str], tuple[bool, float]] = {}

    async def check(self, request: web.Request) -> User:
        try:
            user = await self._authenticate(request)
        except (errors.StatusError, OSError) as e:
            log.warning("unable to authenticate the request: %s", e)
            raise Refused(401, "Unauthorized") from e
        if user is None:
            if not self._options.anonymous_auth or "Authorization" in request.headers:
                raise Refused(401, "Unauthorized")
            user = User("system:anonymous", groups=("system:unauthenticated",))
        if self._options.authorization_mode == "AlwaysAllow":
            return user
        verb = VERBS.get(request.method, "")
        names = subresources(request.path)
        for name in names:
            try:
                if await self._is_allowed(user, verb, name):
                    return user
            except (errors.StatusError, OSError) as e:
                log.warning("authorization error: %s", e)
                raise Refused(500, f"Authorization error (user={user.name}, verb={verb}, resource=nodes, "
                                   f"subresource={name})") from e
        raise Refused(403, f"Forbidden (user={user.name}, verb={verb}, resource=nodes, "
                           f"subresource(s)=[{' '.join(names)}])\n")

    async def _authenticate(self, request: web.Request) -> User | None:
        user = _certificate_user(request)
        if user is not None:
            return user
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip() or not self._options.authentication_token_webhook:
            return None
        now = asyncio.get_running_loop().time()
        key = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        known = self._tokens.get(key)
        if known is not None and known[1] > now:
            return known[0]
        review = await self._client.create("tokenreviews.authentication.k8s.io", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
            "spec": {"token": token.strip().encode(errors="replace").decode(errors="replace")}})
        status = review.get("status") or {}
        found = None
        if status.get("authenticated"):
            info = status.get("user") or {}
            found = User(info.get("username", ""), info.get("uid", ""), tuple(info.get("groups") or ()),
                         info.get("extra") or {})
        _remember(self._tokens, key, (found, now + TTL_TOKEN))
        return found

    async def _is_allowed(self, user: User, verb: str, subresource: str) -> bool:
        now = asyncio.get_running_loop().time()
        key = (user.name, user.groups, verb, subresource)
        known = self._decisions.get(key)
        if known is not None and known[1] > now:
            return known[0]
        spec: dict[str, Any] = {
            "user": user.name, "groups": list(user.groups), "uid": user.uid, "extra": user.extra,
            "resourceAttributes": {"verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource,
                                   "name": self._options.node_name}}
        review = await self._client.create("subjectaccessreviews.authorization.k8s.io", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": spec})
        allowed = bool((review.get("status") or {}).get("allowed"))
        _remember(self._decisions, key, (allowed, now + (TTL_ALLOWED if allowed else TTL_DENIED)))
        return allowed


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    while len(memory) >= REMEMBERED:
        memory.pop(next(iter(memory)))  # the oldest
    memory[key] = value


def _certificate_user(request: web.Request) -> User | None:
    """The subject of a verified client certificate: CN is the name, O the groups."""
    transport = request.transport
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if not der:
        return None
    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names:
        return None
    return User(str(names[0].value), groups=(*(str(g.value) for g in groups), "system:authenticated"))
