"""One pod of a DaemonSet on every node that fits; rolling updates with maxUnavailable and maxSurge.

In: daemonsets, pods, nodes, controllerrevisions. Out: pods, revisions, status. `plan_nodes` and
`plan_update` are pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kubewheel.api.resource import Object
from kubewheel.controllers import daemon_nodes
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import history, objects, ownership, pods
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations

SETS, REVISIONS = "daemonsets.apps", history.REVISIONS
HASH, GENERATION = "controller-revision-hash", "pod-template-generation"
BURST = 250
FIRST_BACKOFF, MAX_BACKOFF = 1.0, 900.0


class State(Expectations):
    """What pods are expected, and how long to leave a failed pod of a node before it is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self._failed: dict[tuple[str, str], tuple[float, float]] = {}  # (set uid, node) -> (delay, loop time)

    def left(self, uid: str, node: str, now: float) -> float:
        """Seconds until the failed pod may be replaced: at once the first time, then 1 s, 2 s … 15 min apart."""
        delay, at = self._failed.get((uid, node), (0.0, 0.0))
        if now - at > 2 * MAX_BACKOFF:
            delay = 0.0
        if now < at + delay:
            return at + delay - now
        self._failed[uid, node] = (min(delay * 2 or FIRST_BACKOFF, MAX_BACKOFF), now)
        return 0.0


@dataclass(slots=True)
class Plan:
    create: list[str] = field(default_factory=list)  # node names
    delete: list[Object] = field(default_factory=list)  # pods
    failed: list[Object] = field(default_factory=list)  # among `delete`: failed pods, replaced with back-off


def by_node(owned: Sequence[Object]) -> dict[str, list[Object]]:
    out: dict[str, list[Object]] = {}
    for pod in owned:
        out.setdefault(daemon_nodes.target_node(pod), []).append(pod)
    return out


def plan_nodes(
    ds: Object, nodes: Sequence[Object], placed: Mapping[str, list[Object]], hash_: str, now: float
) -> Plan:
    """Missing pods are made, surplus and failed ones deleted, and those on nodes where they no longer
    belong."""
    plan = Plan()
    surge = surge_of(ds, len(nodes)) > 0
    names = set()
    for node in nodes:
        name = node["metadata"]["name"]
        names.add(name)
        run, stay = daemon_nodes.should_run(ds, node)
        here = placed.get(name, [])
        if not run and not stay:
            plan.delete += [p for p in here if not objects.is_terminating(p)]
            continue
        alive = []
        for pod in here:
            if objects.is_terminating(pod):
                continue
            if objects.is_finished(pod):
                plan.delete.append(pod)
                plan.failed.append(pod)
            else:
                alive.append(pod)
        if run and not here:
            plan.create.append(name)
        elif len(alive) > 1:
            plan.delete += _surplus(ds, alive, surge, hash_, now)
    for name, here in placed.items():  # the node is gone
        if name not in names:
            plan.delete += [
                p for p in here if not objects.is_terminating(p) and not p["spec"].get("nodeName")
            ]
    return plan


def _surplus(ds: Object, alive: list[Object], surge: bool, hash_: str, now: float) -> list[Object]:
    if surge:
        new = [p for p in alive if is_updated(ds, p, hash_)]
        old = [p for p in alive if not is_updated(ds, p, hash_)]
        if len(new) == 1 and len(old) == 1:
            ready = objects.is_available(new[0], ds["spec"].get("minReadySeconds", 0), now)
            # The old one serves until the new one is available (or if the old one does not serve anyway).
            return old if ready or not objects.is_ready(old[0]) else []
    ranked = sorted(
        alive, key=lambda p: (not p["spec"].get("nodeName"), p["metadata"].get("creationTimestamp", ""))
    )
    return ranked[1:]


def is_updated(ds: Object, pod: Object, hash_: str) -> bool:
    return bool(hash_) and objects.labels_of(pod).get(HASH) == hash_


def strategy(ds: Object) -> Object:
    return ds["spec"].get("updateStrategy") or {}


def surge_of(ds: Object, desired: int) -> int:
    if strategy(ds).get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    return objects.scaled(
        (strategy(ds).get("rollingUpdate") or {}).get("maxSurge", 0), desired, round_up=True
    )


def unavailable_of(ds: Object, desired: int) -> int:
    rolling = strategy(ds).get("rollingUpdate") or {}
    value = objects.scaled(rolling.get("maxUnavailable", 1), desired, round_up=True)
    return value if value or surge_of(ds, desired) else 1


def plan_update(
    ds: Object, nodes: Sequence[Object], placed: Mapping[str, list[Object]], hash_: str, now: float
) -> Plan:
    """One step of a rolling update: old pods that serve nobody first, then as many as maxUnavailable (or
    maxSurge) lets."""
    wanted = [n["metadata"]["name"] for n in nodes if daemon_nodes.should_run(ds, n)[0]]
    surge, may_fail = surge_of(ds, len(wanted)), unavailable_of(ds, len(wanted))
    min_ready = ds["spec"].get("minReadySeconds", 0)
    plan, unavailable, surging = Plan(), 0, 0
    candidates: list[Object] = []
    later: list[str] = []  # surge: nodes whose old pod still serves
    for name in wanted:
        alive = [p for p in placed.get(name, []) if not objects.is_terminating(p)]
        new = [p for p in alive if is_updated(ds, p, hash_)]
        old = [p for p in alive if not is_updated(ds, p, hash_)]
        serving = any(objects.is_available(p, min_ready, now) for p in alive)
        if surge:
            if new and old and not objects.is_available(new[0], min_ready, now):
                surging += 1
            elif old and not new:
                (later if serving else plan.create).append(name)
            continue
        if not serving:
            unavailable += 1
            plan.delete += old
        elif old and not new:
            candidates += old
    if surge:
        plan.create = (plan.create + later)[: max(surge - surging, 0)]
    else:
        plan.delete += candidates[: max(may_fail - unavailable, 0)]
    return plan


def status_of(
    ds: Object, nodes: Sequence[Object], placed: Mapping[str, list[Object]], hash_: str, now: float
) -> Object:
    counts = dict.fromkeys(
        (
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
        ),
        0,
    )
    min_ready = ds["spec"].get("minReadySeconds", 0)
    for node in nodes:
        here = placed.get(node["metadata"]["name"], [])
        if not daemon_nodes.should_run(ds, node)[0]:
            counts["numberMisscheduled"] += bool(here)
            continue
        counts["desiredNumberScheduled"] += 1
        if not here:
            continue
        counts["currentNumberScheduled"] += 1
        ordered = sorted(here, key=lambda p: p["metadata"].get("creationTimestamp", ""))
        ready = [p for p in ordered if objects.is_ready(p)]
        counts["numberReady"] += bool(ready)
        counts["numberAvailable"] += any(objects.is_available(p, min_ready, now) for p in ready)
        counts["updatedNumberScheduled"] += any(
            is_updated(ds, p, hash_) for p in ordered if not objects.is_terminating(p)
        )
    counts["numberUnavailable"] = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    old = ds.get("status") or {}
    required = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    status: Object = {k: v for k, v in counts.items() if v or k in required}
    status["observedGeneration"] = ds["metadata"].get("generation", 0)
    for name in ("collisionCount", "conditions"):
        if old.get(name) is not None:
            status[name] = old[name]
    return status


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    expectations: State = context.state
    cached = context.cache(SETS).get(namespace, name)
    if cached is None:
        expectations.forget(key)
        return None
    ds = objects.with_kind(cached, "apps/v1", "DaemonSet")
    if objects.is_empty(ds["spec"].get("selector")):
        context.events.event(
            ds,
            "Warning",
            "SelectingAll",
            "This daemon set is selecting all pods. A non-empty selector is required.",
        )
        return None
    if objects.is_terminating(ds) or not expectations.satisfied(key, context.cache("pods")):
        return None if objects.is_terminating(ds) else 1.0
    current, revisions = await _revision(context, ds)
    hash_ = objects.labels_of(current)[HASH]
    owned = await ownership.claim(
        context.client,
        context.cache("pods"),
        ds,
        owner_resource=SETS,
        api_version="apps/v1",
        kind="DaemonSet",
        resource="pods",
        selects=lambda p: objects.matches(ds["spec"]["selector"], objects.labels_of(p)),
    )
    nodes = sorted(context.cache("nodes").list(), key=lambda n: n["metadata"]["name"])
    placed, now = by_node(owned), context.clock.now()
    again = await _act(context, ds, key, nodes, placed, hash_, now)
    live = {
        r["metadata"]["name"]
        for r in revisions
        if any(objects.labels_of(p).get(HASH) == objects.labels_of(r).get(HASH) for p in owned)
    }
    await history.truncate(
        context, revisions, live | {current["metadata"]["name"]}, ds["spec"].get("revisionHistoryLimit", 10)
    )
    await pods.update_status(context, SETS, ds, status_of(ds, nodes, placed, hash_, now))
    waits = [w for p in owned if (w := objects.available_in(p, ds["spec"].get("minReadySeconds", 0), now))]
    return min([*waits, *([again] if again is not None else [])], default=None)


async def _act(
    context: Context,
    ds: Object,
    key: str,
    nodes: Sequence[Object],
    placed: Mapping[str, list[Object]],
    hash_: str,
    now: float,
) -> float | None:
    plan = plan_nodes(ds, nodes, placed, hash_, now)
    again = _back_off(context, ds, plan)
    if not plan.create and not plan.delete and strategy(ds).get("type", "RollingUpdate") == "RollingUpdate":
        plan = plan_update(ds, nodes, placed, hash_, now)
    new = [_pod(ds, node, hash_) for node in plan.create[:BURST]]
    await pods.delete_many(context, ds, plan.delete[:BURST], key=key, expectations=context.state)
    await pods.create_many(context, ds, new, key=key, expectations=context.state)
    return again


def _back_off(context: Context, ds: Object, plan: Plan) -> float | None:
    """Takes failed pods out of the plan that were replaced too lately; says when to look again."""
    again = None
    for pod in plan.failed:
        node, loop_now = pod["spec"].get("nodeName", ""), asyncio.get_running_loop().time()
        wait = context.state.left(ds["metadata"]["uid"], node, loop_now)
        if wait > 0:
            plan.delete.remove(pod)
            again = wait if again is None else min(again, wait)
            continue
        if objects.phase(pod) == "Succeeded":
            context.events.event(
                ds,
                "Normal",
                "SucceededDaemonPod",
                f"Found succeeded daemon pod {objects.key_of(pod)} on node {node}, will try to delete it",
            )
            continue
        context.events.event(
            ds,
            "Warning",
            "FailedDaemonPod",
            f"Found failed daemon pod {objects.key_of(pod)} on node {node}, will try to kill it",
        )
    return again


def _pod(ds: Object, node: str, hash_: str) -> Object:
    pod = pods.from_template(ds["spec"]["template"], ds, "apps/v1", "DaemonSet")
    labels = pod["metadata"].setdefault("labels", {})
    labels[HASH] = hash_
    labels[GENERATION] = objects.annotations_of(ds).get(
        "deprecated.daemonset.template.generation", str(ds["metadata"].get("generation", 1))
    )
    daemon_nodes.pin(pod, node)
    return pod


async def _revision(context: Context, ds: Object) -> tuple[Object, list[Object]]:
    """The ControllerRevision of the present template, and all of them."""
    revisions = await ownership.claim(
        context.client,
        context.cache(REVISIONS),
        ds,
        owner_resource=SETS,
        api_version="apps/v1",
        kind="DaemonSet",
        resource=REVISIONS,
        selects=lambda r: objects.matches(ds["spec"]["selector"], objects.labels_of(r)),
    )
    collisions = (ds.get("status") or {}).get("collisionCount")
    new = history.build(
        ds,
        "apps/v1",
        "DaemonSet",
        history.template_patch(ds),
        0,
        dict((ds["spec"]["template"].get("metadata") or {}).get("labels") or {}),
        collisions,
        HASH,
    )
    annotations = {
        k: v
        for k, v in objects.annotations_of(ds).items()
        if k != "kubectl.kubernetes.io/last-applied-configuration"
    }
    if annotations:
        new["metadata"]["annotations"] = annotations
    found, collided = await history.ensure(context, new, revisions)
    if collided:
        status = {**(ds.get("status") or {}), "collisionCount": (collisions or 0) + 1}
        await pods.update_status(context, SETS, ds, status)
        raise RuntimeError(f"found a hash collision for DaemonSet {objects.key_of(ds)}")
    if found["metadata"]["name"] not in {r["metadata"]["name"] for r in revisions}:
        revisions = [*revisions, found]
    return found, revisions


def _selects(ds: Object, obj: Object) -> bool:
    selector = ds["spec"].get("selector")
    return not objects.is_empty(selector) and objects.matches(selector, objects.labels_of(obj))


def _of_node(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if old is not None and new is not None and _node_view(old) == _node_view(new):
        return
    for ds in context.cache(SETS).list():
        if old is None or new is None or daemon_nodes.should_run(ds, old) != daemon_nodes.should_run(ds, new):
            yield objects.key_of(ds)


def _node_view(node: Object) -> tuple[object, ...]:
    return objects.labels_of(node), (node.get("spec") or {}).get("taints")


def setup(context: Context) -> State:
    ownership.index_by_controller(context.cache("pods"))
    ownership.index_by_controller(context.cache(REVISIONS))
    return State()


CONTROLLER = Controller(
    name="daemonset-controller",
    reconcile=reconcile,
    setup=setup,
    workers=2,
    watches=(
        Watch(SETS, own_key),
        Watch("pods", pods.keys_of_owner_or_orphan(SETS, "DaemonSet", _selects)),
        Watch(REVISIONS, pods.keys_of_owner_or_orphan(SETS, "DaemonSet", _selects)),
        Watch("nodes", _of_node),
    ),
    rules=(
        rule("apps", "daemonsets", READ),
        rule("apps", "daemonsets/status", "update"),
        rule("apps", "daemonsets/finalizers", "update"),
        rule("", "nodes", "list watch"),
        rule("", "pods", "list watch create delete patch"),
        rule("", "pods/binding", "create"),
        rule("apps", "controllerrevisions", READ + " create delete update patch"),
        events(),
    ),
)
