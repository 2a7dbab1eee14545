"""Reading bootstrap token Secrets (type bootstrap.kubernetes.io/token of kube-system). Pure.

In: secrets. Out: their fields as text. Called by: bootstrap_signer, token_cleaner.
"""

from __future__ import annotations

import base64

from kubewheel.api.resource import Object
from kubewheel.lib import clock as clocks

NAMESPACE, TYPE, PREFIX = "kube-system", "bootstrap.kubernetes.io/token", "bootstrap-token-"


def is_token(secret: Object) -> bool:
    return secret.get("type") == TYPE and secret["metadata"].get("namespace") == NAMESPACE


def fields(secret: Object) -> dict[str, str]:
    return {k: base64.b64decode(v).decode(errors="replace") for k, v in (secret.get("data") or {}).items()}


def expires_in(secret: Object, now: float) -> float | None:
    """Seconds; 0 or less when it is over (or has a time nobody can read), None when it has none."""
    text = fields(secret).get("expiration")
    if not text:
        return None
    try:
        return clocks.parse_time(text) - now
    except ValueError:
        return 0.0
