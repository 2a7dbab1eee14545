"""Deletes ended Jobs when spec.ttlSecondsAfterFinished has passed.

In: jobs. Out: deletions (foreground).
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key


def expires_at(job: Object) -> float | None:
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or objects.is_terminating(job):
        return None
    for c in (job.get("status") or {}).get("conditions") or ():
        if c["type"] in ("Complete", "Failed") and c["status"] == "True" and c.get("lastTransitionTime"):
            return clocks.parse_time(c["lastTransitionTime"]) + ttl
    return None


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    job = context.cache("jobs.batch").get(namespace, name)
    if job is None or (at := expires_at(job)) is None:
        return None
    if at > context.clock.now():
        return at - context.clock.now()
    fresh = await context.client.find("jobs.batch", name, namespace=namespace)  # the ttl may have been raised
    if fresh is None or (at := expires_at(fresh)) is None:
        return None
    if at > context.clock.now():
        return at - context.clock.now()
    try:
        await context.client.delete(
            "jobs.batch", name, namespace=namespace, uid=fresh["metadata"]["uid"], propagation="Foreground"
        )
    except errors.StatusError as e:
        if e.code != 404:
            raise
    return None


CONTROLLER = Controller(
    name="ttl-after-finished-controller",
    reconcile=reconcile,
    watches=(Watch("jobs.batch", own_key),),
    rules=(rule("batch", "jobs", READ + " delete"), events()),
)
