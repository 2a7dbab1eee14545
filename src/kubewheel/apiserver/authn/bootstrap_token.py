"""Bootstrap tokens `abcdef.0123456789abcdef`: secrets of kube-system that let a new node ask for its certificate.

In: the secrets cache. Out: Verified (system:bootstrap:<id>). Called by: authn union.
"""

from __future__ import annotations

import base64
import hmac
import logging
import re
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.apiserver.authn.tokens import Verified
from kubewheel.client.transport import Identity
from kubewheel.lib import clock as clocks

log = logging.getLogger(__name__)

PATTERN = re.compile(r"^([a-z0-9]{6})\.([a-z0-9]{16})$")
GROUP = re.compile(r"^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$")
SECRET_TYPE = "bootstrap.kubernetes.io/token"


class BootstrapTokens:
    def __init__(self, caches: Any, clock: clocks.Clock) -> None:
        self._caches = caches
        self._clock = clock

    async def authenticate_token(self, token: str, audiences: tuple[str, ...]) -> Verified | None:
        match = PATTERN.match(token)
        if match is None:
            return None
        token_id, token_secret = match.groups()
        secret = (await self._caches.synced("secrets")).get("kube-system", f"bootstrap-token-{token_id}")
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            return None
        user = _user_of(secret, token_id, token_secret, now=self._clock.now())
        return None if user is None else Verified(user, audiences)


def _user_of(secret: Object, token_id: str, token_secret: str, *, now: float) -> Identity | None:
    data = {k: base64.b64decode(v).decode(errors="replace") for k, v in (secret.get("data") or {}).items()}
    if secret.get("type") != SECRET_TYPE or data.get("token-id") != token_id:
        return None
    if not hmac.compare_digest(data.get("token-secret", "").encode(), token_secret.encode()):
        return None
    if expiration := data.get("expiration"):
        try:
            if clocks.parse_time(expiration) <= now:
                return None
        except ValueError:
            log.error("bootstrap token %s has an expiration that is no time: treated as expired", token_id)
            return None
    if data.get("usage-bootstrap-authentication") != "true":
        return None
    groups = {"system:bootstrappers"}
    for group in filter(None, (g.strip() for g in data.get("auth-extra-groups", "").split(","))):
        if not GROUP.match(group):
            log.error("bootstrap token %s names a bad group %r: token refused", token_id, group)
            return None
        groups.add(group)
    return Identity(f"system:bootstrap:{token_id}", groups=tuple(sorted(groups)))
