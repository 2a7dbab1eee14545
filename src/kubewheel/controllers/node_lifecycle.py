"""Watches over nodes: a silent kubelet makes conditions Unknown, conditions make taints, taints send pods
away.

In: nodes, leases of kube-node-lease, pods. Out: node conditions and taints, pods marked not ready.
`taints_for` and `silent_conditions` are pure. Silence is measured by our own loop, never by comparing clocks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

log = logging.getLogger(__name__)

LEASES = "leases.coordination.k8s.io"
PREFIX = "node.kubernetes.io/"
NOT_READY, UNREACHABLE = PREFIX + "not-ready", PREFIX + "unreachable"
BY_CONDITION = (
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", PREFIX + "memory-pressure"),
    ("DiskPressure", "True", PREFIX + "disk-pressure"),
    ("NetworkUnavailable", "True", PREFIX + "network-unavailable"),
    ("PIDPressure", "True", PREFIX + "pid-pressure"),
)
OURS = frozenset((*(t for _, _, t in BY_CONDITION), PREFIX + "unschedulable"))
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(slots=True)
class Seen:
    """When a node last gave a sign of life (loop time), and what that sign was."""

    lease: str
    heartbeat: str
    at: float


def taints_for(node: Object, *, evict: bool, now: float) -> list[Object]:
    """The node's taints as they should be; others' taints stay in their order."""
    spec = node.get("spec") or {}
    old = spec.get("taints") or []
    schedule = {key for type_, status, key in BY_CONDITION if objects.condition_status(node, type_) == status}
    if spec.get("unschedulable"):
        schedule.add(PREFIX + "unschedulable")
    ready = objects.condition_status(node, "Ready")
    execute = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready) if evict else None
    out, have = [], set()
    for taint in old:
        pair = (taint["key"], taint["effect"])
        if taint["effect"] == "NoSchedule" and taint["key"] in OURS and taint["key"] not in schedule:
            continue
        if (
            taint["effect"] == "NoExecute"
            and taint["key"] in (NOT_READY, UNREACHABLE)
            and taint["key"] != execute
        ):
            continue
        have.add(pair)
        out.append(taint)
    stamp = clocks.rfc3339(now)
    for key in sorted(schedule):
        if (key, "NoSchedule") not in have:
            out.append({"key": key, "effect": "NoSchedule", "timeAdded": stamp})
    if execute and (execute, "NoExecute") not in have:
        out.append({"key": execute, "effect": "NoExecute", "timeAdded": stamp})
    return out


def silent_conditions(conditions: Sequence[Object], created: str, now: float) -> list[Object]:
    """The kubelet's conditions once it is silent: Unknown."""
    out = list(conditions)
    for type_ in WATCHED:
        old = next((c for c in conditions if c["type"] == type_), None)
        if old is None:
            new = {
                "type": type_,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": created,
            }
        elif old["status"] == "Unknown":
            continue
        else:
            new = {
                **old,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
            }
        new["lastTransitionTime"] = clocks.rfc3339(now)
        out = [new if c["type"] == type_ else c for c in out] if old is not None else [*out, new]
    return out


async def reconcile(context: Context, key: str) -> None:
    node = context.cache("nodes").get(None, key)
    if node is None:
        context.state.pop(key, None)
        return
    every = context.cache("nodes").list()
    # With no node ready at all it is us who cannot see: nobody is evicted (upstream's full disruption).
    evict = any(objects.condition_status(n, "Ready") == "True" for n in every)
    wanted = taints_for(node, evict=evict, now=context.clock.now())
    if wanted != ((node.get("spec") or {}).get("taints") or []):
        new = codec.copy(node)
        new.setdefault("spec", {})["taints"] = wanted
        if not wanted:
            del new["spec"]["taints"]
        await context.client.update("nodes", new)
    await _label(context, key)
    if objects.condition_status(node, "Ready") in ("False", "Unknown"):
        await _mark_pods(context, key)


async def _label(context: Context, name: str) -> None:
    """beta.kubernetes.io/os and arch follow the labels that replaced them."""
    node = context.cache("nodes").get(None, name)
    if node is None:
        return
    labels = objects.labels_of(node)
    wanted = {
        f"beta.kubernetes.io/{k}": labels[f"kubernetes.io/{k}"]
        for k in ("os", "arch")
        if f"kubernetes.io/{k}" in labels
    }
    if not wanted.items() <= labels.items():
        await context.client.patch("nodes", name, {"metadata": {"labels": wanted}})


async def _mark_pods(context: Context, node: str) -> None:
    """Pods of a node that is not ready are not ready either: Services stop sending to them."""
    for pod in context.cache("pods").by_index("node", node):
        if not objects.is_ready(pod):
            continue
        new = codec.copy(pod)
        ready = objects.condition(new, "Ready")
        assert ready is not None
        ready |= {"status": "False", "lastTransitionTime": clocks.rfc3339(context.clock.now())}
        try:
            await context.client.update_status("pods", new)
        except errors.StatusError as e:
            if e.code not in (404, 409):
                raise
            continue
        context.events.event(
            objects.with_kind(pod, "v1", "Pod"), "Warning", "NodeNotReady", "Node is not ready"
        )


async def run(context: Context) -> None:
    period = settings.seconds(context, "node-monitor-period", 5.0)
    while True:
        for node in context.cache("nodes").list():
            try:
                await _monitor(context, node)
            except errors.StatusError as e:
                if e.code not in (404, 409):
                    log.warning("node %s not updated: %s", node["metadata"]["name"], e)
        await asyncio.sleep(period)


async def _monitor(context: Context, node: Object) -> None:
    name, loop_now = node["metadata"]["name"], asyncio.get_running_loop().time()
    lease = context.cache(LEASES).get("kube-node-lease", name)
    renewed = (lease["spec"].get("renewTime") or "") if lease is not None else ""
    ready = objects.condition(node, "Ready") or {}
    heartbeat = ready.get("lastHeartbeatTime", "") if ready.get("status") != "Unknown" else ""
    seen: dict[str, Seen] = context.state
    last = seen.get(name)
    if last is None:
        last = seen[name] = Seen(renewed, heartbeat, loop_now)
    elif (renewed and renewed != last.lease) or (heartbeat and heartbeat != last.heartbeat):
        last.lease, last.heartbeat, last.at = renewed or last.lease, heartbeat or last.heartbeat, loop_now
    grace = settings.seconds(context, "node-monitor-grace-period", 50.0)
    if not ready:
        grace = settings.seconds(context, "node-startup-grace-period", 60.0)
    if loop_now - last.at <= grace or ready.get("status") == "Unknown":
        return
    new = codec.copy(node)
    status = new.setdefault("status", {})
    status["conditions"] = silent_conditions(
        status.get("conditions") or [], node["metadata"].get("creationTimestamp", ""), context.clock.now()
    )
    await context.client.update_status("nodes", new)
    context.events.event(
        {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": node["metadata"]["uid"]}},
        "Normal",
        "NodeNotReady",
        f"Node {name} status is now: NodeNotReady",
    )


def _keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    yield from own_key(old, new, context)
    before = objects.condition_status(old, "Ready") if old else ""
    after = objects.condition_status(new, "Ready") if new else ""
    if before != after:  # whether anyone is ready decides about everyone's eviction
        for node in context.cache("nodes").list():
            if objects.condition_status(node, "Ready") != "True":
                yield node["metadata"]["name"]


def setup(context: Context) -> dict[str, Seen]:
    context.cache("pods").add_index("node", node_of)
    return {}


def node_of(pod: Object) -> Iterable[str]:
    if name := pod["spec"].get("nodeName"):
        yield name


CONTROLLER = Controller(
    name="node-lifecycle-controller",
    reconcile=reconcile,
    run=run,
    setup=setup,
    watches=(Watch("nodes", _keys),),
    reads=(LEASES, "pods"),
    workers=8,
    rules=(
        rule("", "nodes", READ + " update delete patch"),
        rule("", "nodes/status", "patch update"),
        rule("", "pods/status", "patch update"),
        rule("", "pods", "list watch get delete"),
        rule("coordination.k8s.io", "leases", READ),
        events(),
    ),
)
