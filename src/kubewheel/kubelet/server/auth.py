"""Who may ask this kubelet: client certificates of the cluster CA, bearer tokens by TokenReview; then the API server
decides by SubjectAccessReview on nodes/proxy, nodes/log, nodes/stats, nodes/metrics … as upstream maps paths.

In: aiohttp requests. Out: the user; web.HTTPUnauthorized/HTTPForbidden. Called by: server.py (middleware).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubewheel.client.client import Client
from kubewheel.kubelet.options import Options

TTL_ALLOWED, TTL_DENIED, TTL_TOKEN = 300.0, 30.0, 120.0


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
        self._tokens: dict[str, tuple[User | None, float]] = {}
        self._decisions: dict[tuple[str, tuple[str, ...], str, str], tuple[bool, float]] = {}

    async def check(self, request: web.Request) -> User:
        user = await self._authenticate(request)
        if user is None:
            if not self._options.anonymous_auth:
                raise web.HTTPUnauthorized(text="Unauthorized")
            user = User("system:anonymous", groups=("system:unauthenticated",))
        if self._options.authorization_mode == "AlwaysAllow":
            return user
        verb = VERBS.get(request.method, "get")
        names = subresources(request.path)
        for name in names:
            if await self._is_allowed(user, verb, name):
                return user
        raise web.HTTPForbidden(text=f"Forbidden (user={user.name}, verb={verb}, resource=nodes, "
                                     f"subresource(s)=[{' '.join(names)}])\n")

    async def _authenticate(self, request: web.Request) -> User | None:
        user = _certificate_user(request)
        if user is not None:
            return user
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or not self._options.authentication_token_webhook:
            return None
        now = asyncio.get_running_loop().time()
        known = self._tokens.get(token)
        if known is not None and known[1] > now:
            return known[0]
        review = await self._client.create("tokenreviews.authentication.k8s.io", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token}})
        status = review.get("status") or {}
        found = None
        if status.get("authenticated"):
            info = status.get("user") or {}
            found = User(info.get("username", ""), info.get("uid", ""), tuple(info.get("groups") or ()),
                         info.get("extra") or {})
        self._tokens[token] = (found, now + TTL_TOKEN)
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
        self._decisions[key] = (allowed, now + (TTL_ALLOWED if allowed else TTL_DENIED))
        return allowed


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
