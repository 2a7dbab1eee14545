"""Deletes pods nobody will end: past the terminated threshold, on nodes that are gone, never scheduled and
terminating,
and on nodes out of service. Every 20 s.

In: pods, nodes. Out: pod status (Failed, DisruptionTarget), forced deletions.
"""

from __future__ import annotations

import asyncio

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.client import STRATEGIC_PATCH
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller

PERIOD, QUARANTINE = 20.0, 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


async def run(context: Context) -> None:
    missing: dict[str, float] = {}  # node -> loop time it was first missed
    while True:
        await asyncio.sleep(PERIOD)
        await collect(context, missing)


async def collect(context: Context, missing: dict[str, float]) -> None:
    pods = context.cache("pods").list()
    nodes = {n["metadata"]["name"]: n for n in context.cache("nodes").list()}
    threshold = int(settings.get(context, "terminated-pod-gc-threshold", 12500))
    for pod in terminated(pods, threshold):
        await _delete(context, pod, None)
    for pod in pods:
        node = nodes.get(pod["spec"].get("nodeName", ""))
        if objects.is_terminating(pod) and node is not None and _out_of_service(node):
            await _delete(context, pod, None)
    for name in await _gone(context, pods, nodes, missing):
        for pod in pods:
            if pod["spec"].get("nodeName") == name:
                await _delete(context, pod, "PodGC: node no longer exists")
    for pod in pods:
        if objects.is_terminating(pod) and not pod["spec"].get("nodeName"):
            await _delete(context, pod, None)


def terminated(pods: list[Object], threshold: int) -> list[Object]:
    """Ended pods past the threshold, evicted first, then oldest."""
    if threshold <= 0:
        return []
    ended = [p for p in pods if objects.phase(p) not in ("Pending", "Running", "Unknown")]
    ended.sort(
        key=lambda p: (
            (p.get("status") or {}).get("reason") != "Evicted",
            p["metadata"].get("creationTimestamp", ""),
            p["metadata"]["name"],
        )
    )
    return ended[: max(len(ended) - threshold, 0)]


def _out_of_service(node: Object) -> bool:
    ready = objects.condition_status(node, "Ready") == "True"
    return not ready and any(t["key"] == OUT_OF_SERVICE for t in (node.get("spec") or {}).get("taints") or ())


async def _gone(
    context: Context, pods: list[Object], nodes: dict[str, Object], missing: dict[str, float]
) -> list[str]:
    """Nodes that pods name and that have been missing for 40 s, checked against the server."""
    now = asyncio.get_running_loop().time()
    wanted = {n for p in pods if (n := p["spec"].get("nodeName"))} - nodes.keys()
    for name in list(missing):
        if name not in wanted:
            del missing[name]
    out = []
    for name in sorted(wanted):
        if (
            now - missing.setdefault(name, now) >= QUARANTINE
            and await context.client.find("nodes", name) is None
        ):
            out.append(name)
    return out


async def _delete(context: Context, pod: Object, orphaned: str | None) -> None:
    """Forced: there is no kubelet to ask. One that had not ended is marked Failed first."""
    meta = pod["metadata"]
    try:
        if not objects.is_finished(pod) and pod["spec"].get("nodeName"):
            patch = {"metadata": {"uid": meta["uid"]}, "status": _ended(pod, orphaned, context.clock.now())}
            await context.client.patch(
                "pods",
                meta["name"],
                patch,
                namespace=meta["namespace"],
                subresource="status",
                type=STRATEGIC_PATCH,
            )
        await context.client.delete(
            "pods", meta["name"], namespace=meta["namespace"], uid=meta["uid"], grace=0
        )
    except errors.StatusError as e:
        if e.code not in (404, 409):
            raise


def _ended(pod: Object, orphaned: str | None, now: float) -> Object:
    if not orphaned:
        return {"phase": "Failed"}
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": orphaned}
    was = (pod.get("status") or {}).get("conditions") or []
    made = [c for c in objects.set_condition(was, condition, now) if c["type"] == condition["type"]]
    return {"phase": "Failed", "conditions": made}


CONTROLLER = Controller(
    name="pod-garbage-collector-controller",
    run=run,
    reads=("pods", "nodes"),
    rules=(
        rule("", "pods", "list watch delete"),
        rule("", "nodes", READ),
        rule("", "pods/status", "patch update"),
        events(),
    ),
)
