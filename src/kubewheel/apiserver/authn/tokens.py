"""Bearer tokens: taken out of a request, shown to each token authenticator in order.

In: requests (or a bare token, for TokenReview). Out: Verified (who, and for which audiences). A token nobody knows is
refused, not anonymous. Called by: authn union, subresources/token_review.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from kubewheel.api import errors
from kubewheel.client.transport import Identity, Request

log = logging.getLogger(__name__)

WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
ALL_AUTHENTICATED = "system:authenticated"


class BadToken(Exception):
    """The token is of this authenticator's kind, and bad; the text says why (TokenReview shows it)."""


@dataclass(frozen=True, slots=True)
class Verified:
    user: Identity
    audiences: tuple[str, ...] = ()  # () means the API server's own


class TokenAuthenticator(Protocol):
    async def authenticate_token(self, token: str, audiences: tuple[str, ...]) -> Verified | None:
        """None: not of this kind. BadToken: of this kind and refused. `audiences` () means the server's own."""


def token_of(request: Request) -> str:
    """The bearer token of a request ("" without one): the Authorization header, or a WebSocket subprotocol
    (browsers cannot set headers there)."""
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for protocol in request.headers.get("sec-websocket-protocol", "").split(","):
        protocol = protocol.strip()
        if protocol.startswith(WEBSOCKET_PREFIX):
            encoded = protocol[len(WEBSOCKET_PREFIX):]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""


def drop_token(request: Request) -> None:
    """Takes the credentials out: nothing further down (proxied backends, audit) may see them."""
    request.headers.pop("authorization", None)
    protocols = request.headers.get("sec-websocket-protocol")
    if protocols and WEBSOCKET_PREFIX in protocols:
        kept = [p.strip() for p in protocols.split(",") if not p.strip().startswith(WEBSOCKET_PREFIX)]
        request.headers["sec-websocket-protocol"] = ", ".join(kept)


class Tokens:
    """An Authenticator over token authenticators."""

    def __init__(self, members: Iterable[TokenAuthenticator]) -> None:
        self.members = tuple(members)

    async def authenticate(self, request: Request) -> Identity | None:
        token = token_of(request)
        if not token:
            return None
        try:
            found = await self.review(token)
        except BadToken as e:
            log.info("unable to authenticate the request: %s", e)
            raise errors.unauthorized() from e
        drop_token(request)
        return found.user

    async def review(self, token: str, audiences: tuple[str, ...] = ()) -> Verified:
        """Who the token is for. BadToken says why it is for nobody."""
        reasons: list[str] = []
        for member in self.members:
            try:
                found = await member.authenticate_token(token, audiences)
            except BadToken as e:
                reasons.append(str(e))
                continue
            if found is not None:
                return Verified(with_group(found.user), found.audiences)
        if not reasons:
            raise BadToken("invalid bearer token")
        raise BadToken("[invalid bearer token, " + ", ".join(reasons) + "]")


def with_group(user: Identity) -> Identity:
    """Whoever is authenticated is in system:authenticated, once."""
    if ALL_AUTHENTICATED in user.groups or "system:unauthenticated" in user.groups:
        return user
    return Identity(user.name, user.uid, (*user.groups, ALL_AUTHENTICATED), user.extra)
