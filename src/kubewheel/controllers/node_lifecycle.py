"""Watches over nodes: a silent kubelet makes conditions Unknown, conditions make taints, taints send pods
away.

In: nodes, leases of kube-node-lease, pods. Out: node conditions and taints, pods marked not ready.
`taints_for` and `silent_conditions` are pure. Silence is measured by our own loop, never by comparing clocks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import node_zones, settings
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


@dataclass(slots=True)
class State:
    seen: dict[str, Seen] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)  # name -> uid of nodes we told about
    limiter: node_zones.Limiter = field(default_factory=node_zones.Limiter)
    granted: set[str] = field(default_factory=set)  # let through by the limiter, perhaps not yet tainted


async def reconcile(context: Context, key: str) -> float | None:
    node = context.cache("nodes").get(None, key)
    state: State = context.state
    if node is None:
        state.seen.pop(key, None)
        state.granted.discard(key)
        return None
    evict, wait = _may_evict(context, node)
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
    return wait


def _may_evict(context: Context, node: Object) -> tuple[bool, float | None]:
    """(the node's NoExecute taint may be there, seconds until it may). A taint that is there already may stay."""
    name, granted = node["metadata"]["name"], context.state.granted
    if objects.condition_status(node, "Ready") not in ("False", "Unknown"):
        granted.discard(name)
        return True, None
    every = context.cache("nodes").list()
    # With no node ready at all it is us who cannot see: nobody is evicted (upstream's full disruption).
    if not any(node_zones.is_ready(n) for n in every):
        return False, None
    taints = (node.get("spec") or {}).get("taints") or ()
    tainted = any(t["key"] in (NOT_READY, UNREACHABLE) and t["effect"] == "NoExecute" for t in taints)
    if tainted or name in granted:
        return True, None
    rates = _rates(context)
    zone = node_zones.zone_of(node)
    rate = node_zones.rate_of([n for n in every if node_zones.zone_of(n) == zone], rates)
    wait = context.state.limiter.take(zone, rate, asyncio.get_running_loop().time())
    if wait == 0.0:
        granted.add(name)
    return wait == 0.0, wait or None


def _rates(context: Context) -> node_zones.Rates:
    return node_zones.Rates(
        normal=float(settings.get(context, "node-eviction-rate", 0.1)),
        secondary=float(settings.get(context, "secondary-node-eviction-rate", 0.01)),
        large=int(settings.get(context, "large-cluster-size-threshold", 50)),
        unhealthy=float(settings.get(context, "unhealthy-zone-threshold", 0.55)),
    )


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
        _tell_changes(context)
        for node in context.cache("nodes").list():
            try:
                await _monitor(context, node)
            except errors.StatusError as e:
                if e.code not in (404, 409):
                    log.warning("node %s not updated: %s", node["metadata"]["name"], e)
        await asyncio.sleep(period)


def _tell_changes(context: Context) -> None:
    """RegisteredNode and RemovingNode events."""
    known: dict[str, str] = context.state.known
    now = {n["metadata"]["name"]: n["metadata"]["uid"] for n in context.cache("nodes").list()}
    for name in sorted(now.keys() - known.keys()):
        _tell(context, name, now[name], "RegisteredNode", f"Registered Node {name} in Controller")
    for name in sorted(known.keys() - now.keys()):
        _tell(context, name, known[name], "RemovingNode", f"Removing Node {name} from Controller")
    known.clear()
    known.update(now)


def _tell(context: Context, name: str, uid: str, reason: str, what: str) -> None:
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "uid": uid}}
    context.events.event(node, "Normal", reason, f"Node {name} event: {what}")


async def _monitor(context: Context, node: Object) -> None:
    name, loop_now = node["metadata"]["name"], asyncio.get_running_loop().time()
    lease = context.cache(LEASES).get("kube-node-lease", name)
    renewed = (lease["spec"].get("renewTime") or "") if lease is not None else ""
    ready = objects.condition(node, "Ready") or {}
    heartbeat = ready.get("lastHeartbeatTime", "") if ready.get("status") != "Unknown" else ""
    seen: dict[str, Seen] = context.state.seen
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


def setup(context: Context) -> State:
    context.cache("pods").add_index("node", node_of)
    return State()


def node_of(pod: Object) -> Iterable[str]:
    if name := pod["spec"].get("nodeName"):
        yield name


CONTROLLER = Controller(
    name="node-lifecycle-controller", events_as="node-controller",
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
