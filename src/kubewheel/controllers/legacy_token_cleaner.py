"""Retires token Secrets that were made automatically and that nobody has used for a year: first invalid, then deleted.

In: secrets, serviceaccounts, pods, the ConfigMap that says since when uses are tracked. Out: labels, deletions, once a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.controllers import serviceaccount_token as tokens
from kubewheel.controllers import settings
from kubewheel.controllers.rules import rule
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller

TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
LAST_USED = "kubernetes.io/legacy-token-last-used"
DAY = 86400.0


def _date(text: str | None) -> float | None:
    try:
        return clocks.parse_time(f"{text}T00:00:00Z") if text else None
    except ValueError:
        return None


def decide(secret: Object, account: Object | None, mounted: bool, *, since: float, period: float, now: float) -> str:
    """"invalidate", "delete" or "": upstream's rules for one token Secret."""
    if not tokens.is_token(secret) or account is None or not tokens.belongs(secret, account) or mounted:
        return ""
    name = secret["metadata"]["name"]
    if not any(s.get("name") == name for s in account.get("secrets") or ()):
        return ""  # made by hand: not ours to delete
    labels = objects.labels_of(secret)
    used = _date(labels.get(LAST_USED))
    quiet = max(objects.stamp_of(secret), since, used or 0.0)
    if quiet + period > now:
        return ""
    invalid = _date(labels.get(tokens.INVALID_SINCE))
    if invalid is None:
        return "invalidate"
    return "delete" if max(invalid, used or 0.0) + period <= now else ""


def mounted_secrets(pods: Iterable[Object]) -> set[tuple[str, str]]:
    out = set()
    for pod in pods:
        for volume in pod["spec"].get("volumes") or ():
            if secret := volume.get("secret"):
                out.add((pod["metadata"]["namespace"], secret.get("secretName", "")))
        for container in pod["spec"].get("containers") or ():
            for env in container.get("env") or ():
                if ref := (env.get("valueFrom") or {}).get("secretKeyRef"):
                    out.add((pod["metadata"]["namespace"], ref.get("name", "")))
    return out


async def run(context: Context) -> None:
    period = settings.seconds(context, "legacy-service-account-token-clean-up-period", 365 * DAY)
    while True:
        await asyncio.sleep(min(DAY, period))
        tracking = await context.client.find("configmaps", TRACKING, namespace="kube-system")
        since = _date(((tracking or {}).get("data") or {}).get("since"))
        if since is not None:
            await _clean(context, since, period)


async def _clean(context: Context, since: float, period: float) -> None:
    mounted, now = mounted_secrets(context.cache("pods").list()), context.clock.now()
    for secret in context.cache("secrets").list():
        meta = secret["metadata"]
        where = meta["namespace"], meta["name"]
        account = context.cache("serviceaccounts").get(meta["namespace"], objects.annotations_of(secret).get(tokens.NAME, ""))
        verdict = decide(secret, account, where in mounted, since=since, period=period, now=now)
        try:
            if verdict == "invalidate":
                labels = {tokens.INVALID_SINCE: clocks.rfc3339(now)[:10]}
                await context.client.patch("secrets", meta["name"], {"metadata": {"labels": labels}}, namespace=where[0])
            elif verdict == "delete":
                await context.client.delete("secrets", meta["name"], namespace=where[0], uid=meta["uid"],
                                            resource_version=meta["resourceVersion"])
        except errors.StatusError as e:
            if e.code not in (404, 409):
                raise


CONTROLLER = Controller(
    name="legacy-serviceaccount-token-cleaner-controller", run=run, reads=("secrets", "serviceaccounts", "pods"),
    rules=(rule("", "configmaps", "get"), rule("", "secrets", "patch delete")))
