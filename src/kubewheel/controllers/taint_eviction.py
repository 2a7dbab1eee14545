"""Deletes pods from nodes with NoExecute taints, at once or after the seconds they tolerate.

In: nodes, pods. Out: DisruptionTarget conditions, deletions. `evict_in` is pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import daemon_nodes
from kubewheel.controllers.node_lifecycle import node_of
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key


def evict_in(taints: Sequence[Object], tolerations: Sequence[Object]) -> float | None:
    """Seconds from the moment the taints were seen; 0 for at once, None for never."""
    used = []
    for taint in taints:
        fitting = [t for t in tolerations if daemon_nodes.tolerates([t], taint)]
        if not fitting:
            return 0.0
        used += fitting
    limits = [float(t["tolerationSeconds"]) for t in used if t.get("tolerationSeconds") is not None]
    return max(min(limits), 0.0) if limits else None


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    since: dict[str, float] = context.state
    pod = context.cache("pods").get(namespace, name)
    node = context.cache("nodes").get(None, pod["spec"].get("nodeName", "")) if pod is not None else None
    taints = [t for t in ((node or {}).get("spec") or {}).get("taints") or () if t["effect"] == "NoExecute"]
    wait = evict_in(taints, pod["spec"].get("tolerations") or ()) if pod is not None and taints else None
    if pod is None or node is None or wait is None or objects.is_terminating(pod):
        if since.pop(key, None) is not None and pod is not None and not objects.is_terminating(pod):
            context.events.event(
                objects.with_kind(pod, "v1", "Pod"),
                "Normal",
                "TaintManagerEviction",
                f"Cancelling deletion of Pod {key}",
            )
        return None
    now = asyncio.get_running_loop().time()
    left = since.setdefault(key, now) + wait - now
    if left > 0:
        return left
    context.events.event(
        objects.with_kind(pod, "v1", "Pod"),
        "Normal",
        "TaintManagerEviction",
        f"Marking for deletion Pod {key}",
    )
    await _evict(context, pod)
    since.pop(key, None)
    return None


async def _evict(context: Context, pod: Object) -> None:
    new = codec.copy(pod)
    status = new.setdefault("status", {})
    status["conditions"] = objects.set_condition(
        status.get("conditions") or [],
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
        },
        context.clock.now(),
    )
    meta = pod["metadata"]
    try:
        await context.client.update_status("pods", new)
        await context.client.delete("pods", meta["name"], namespace=meta["namespace"], uid=meta["uid"])
    except errors.StatusError as e:
        if e.code != 404:
            raise


def _of_node(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    before = ((old or {}).get("spec") or {}).get("taints")
    after = ((new or {}).get("spec") or {}).get("taints")
    if new is not None and before != after:
        for pod in context.cache("pods").by_index("node", new["metadata"]["name"]):
            yield objects.key_of(pod)


def _of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if (
        old is None
        or new is None
        or old["spec"].get("nodeName") != new["spec"].get("nodeName")
        or old["spec"].get("tolerations") != new["spec"].get("tolerations")
    ):
        yield from own_key(old, new, context)


def setup(context: Context) -> dict[str, float]:
    context.cache("pods").add_index("node", node_of)
    return {}


CONTROLLER = Controller(
    name="taint-eviction-controller",
    reconcile=reconcile,
    setup=setup,
    workers=8,
    watches=(Watch("nodes", _of_node), Watch("pods", _of_pod)),
    rules=(
        rule("", "pods", READ + " delete"),
        rule("", "nodes", READ),
        rule("", "pods/status", "patch update"),
        events(),
    ),
)
