"""Deletes bootstrap tokens when their time is over.

In: bootstrap token Secrets. Out: deletions.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api.resource import Object
from kubewheel.controllers import bootstrap_tokens as tokens
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key


async def reconcile(context: Context, key: str) -> float | None:
    secret = context.cache("secrets").get(*split_key(key))
    if secret is None or not tokens.is_token(secret):
        return None
    left = tokens.expires_in(secret, context.clock.now())
    if left is None or left > 0:
        return left
    meta = secret["metadata"]
    await context.client.delete("secrets", meta["name"], namespace=meta["namespace"], uid=meta["uid"])
    return None


def _token(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is not None and tokens.is_token(new):
        yield from own_key(old, new, context)


CONTROLLER = Controller(
    name="token-cleaner-controller", reconcile=reconcile, watches=(Watch("secrets", _token),), workers=1,
    rules=(rule("", "secrets", READ + " delete"), events()))
