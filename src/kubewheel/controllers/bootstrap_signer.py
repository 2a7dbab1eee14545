"""Signs kube-public/cluster-info with every bootstrap token, so that a joining node can trust what it reads there.

In: the ConfigMap, bootstrap token Secrets. Out: data `jws-kubeconfig-<token id>`, detached JWS (HS256). `signed` is pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence

from kubewheel.api.resource import Object
from kubewheel.controllers import bootstrap_tokens as tokens
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile.controller import Context, Controller, Watch

NAMESPACE, NAME, PREFIX = "kube-public", "cluster-info", "jws-kubeconfig-"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def detached(content: str, token_id: str, secret: str) -> str:
    """`header..signature` of RFC 7515, appendix F; the key is the token's secret half."""
    header = _b64(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signature = hmac.new(secret.encode(), f"{header}.{_b64(content.encode())}".encode(), hashlib.sha256).digest()
    return f"{header}..{_b64(signature)}"


def signed(data: dict[str, str], secrets: Sequence[Object], now: float) -> dict[str, str]:
    """The ConfigMap's data with the signatures that belong there."""
    out = {k: v for k, v in data.items() if not k.startswith(PREFIX)}
    for secret in secrets:
        left = tokens.expires_in(secret, now)
        found = tokens.fields(secret)
        token_id, half = found.get("token-id"), found.get("token-secret")
        if not tokens.is_token(secret) or (left is not None and left <= 0) or not token_id or not half:
            continue
        if secret["metadata"]["name"] == tokens.PREFIX + token_id and found.get("usage-bootstrap-signing") == "true":
            out[PREFIX + token_id] = detached(data["kubeconfig"], token_id, half)
    return out


async def reconcile(context: Context, key: str) -> None:
    info = context.cache("configmaps").get(NAMESPACE, NAME)
    if info is None or "kubeconfig" not in (info.get("data") or {}):
        return
    secrets = context.cache("secrets").list(tokens.NAMESPACE)
    wanted = signed(info["data"], [s for s in secrets if tokens.is_token(s)], context.clock.now())
    if wanted != info["data"]:
        await context.client.update("configmaps", {**info, "data": wanted})


def _info(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    meta = (new or old or {})["metadata"]
    if (meta["namespace"], meta["name"]) == (NAMESPACE, NAME):
        yield NAME


def _token(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if tokens.is_token(new or old or {}):
        yield NAME


CONTROLLER = Controller(
    name="bootstrap-signer-controller", reconcile=reconcile, workers=1,
    watches=(Watch("configmaps", _info), Watch("secrets", _token)),
    rules=(rule("", "secrets configmaps", READ), rule("", "configmaps", "update"), events()))
