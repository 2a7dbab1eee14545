"""ReplicaSets keep their number of pods (and, under another name, ReplicationControllers: see
replication.py).

In: replicasets, pods. Out: pods made and deleted, status. `plan` and `status_of` are pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, ownership, pods
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations

BURST = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Flavor:
    """What differs between ReplicaSet and ReplicationController."""

    resource: str
    api_version: str
    kind: str
    selects: Callable[[Object, Object], bool]  # (owner, pod)


def _selects(rs: Object, pod: Object) -> bool:
    selector = rs["spec"].get("selector")
    return not objects.is_empty(selector) and objects.matches(selector, objects.labels_of(pod))


REPLICA_SET = Flavor("replicasets.apps", "apps/v1", "ReplicaSet", _selects)


@dataclass(frozen=True, slots=True)
class Plan:
    create: int = 0
    delete: tuple[Object, ...] = ()


def plan(wanted: int, active: Sequence[Object], *, related_on_node: dict[str, int], now: float) -> Plan:
    """How many pods to make, or which to delete: those that matter least first."""
    surplus = len(active) - wanted
    if surplus < 0:
        return Plan(create=min(-surplus, BURST))
    if surplus == 0:
        return Plan()
    ranked = sorted(active, key=lambda pod: deletion_rank(pod, related_on_node, now))
    return Plan(delete=tuple(ranked[: min(surplus, BURST)]))


def deletion_rank(pod: Object, related_on_node: dict[str, int], now: float) -> tuple[Any, ...]:
    """Lowest goes first (upstream's ActivePodsWithRanks): unassigned, pending, unready, cheap, doubled up
    on a node,
    ready for less long (on a log scale), restarted more, younger."""
    node = pod["spec"].get("nodeName", "")
    phase_rank = {"Pending": 0, "Unknown": 1, "Running": 2}.get(objects.phase(pod), 0)
    ready = objects.is_ready(pod)
    since = objects.ready_since(pod) or 0.0
    restarts = max(
        (c.get("restartCount", 0) for c in (pod.get("status") or {}).get("containerStatuses") or ()),
        default=0,
    )
    return (
        bool(node),
        phase_rank,
        ready,
        _cost(pod),
        -related_on_node.get(node, 0),
        -_log_age(since, now) if ready else 0,
        -restarts,
        -_log_age(objects.stamp_of(pod), now),
        pod["metadata"].get("uid", ""),
    )


def _log_age(stamp: float, now: float) -> float:
    """Younger is smaller; ages in the same power of two count as equal. Negated by the caller so that
    younger goes first."""
    age = max(now - stamp, 0.0)
    return -float(int(age).bit_length())


def _cost(pod: Object) -> int:
    text = objects.annotations_of(pod).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def status_of(
    rs: Object,
    owned: Sequence[Object],
    *,
    min_ready: int,
    now: float,
    failure: tuple[str, str] | None,
    template_labels: dict[str, str],
    terminating: int | None,
) -> Object:
    """The status to write. `failure` is (reason, message) of ReplicaFailure, None when all went well."""
    old = rs.get("status") or {}
    labeled = sum(1 for p in owned if template_labels.items() <= objects.labels_of(p).items())
    status: Object = {k: v for k, v in old.items() if k == "conditions"}
    status["replicas"] = len(owned)
    for name, count in (
        ("fullyLabeledReplicas", labeled),
        ("readyReplicas", sum(1 for p in owned if objects.is_ready(p))),
        ("availableReplicas", sum(1 for p in owned if objects.is_available(p, min_ready, now))),
    ):
        if count:
            status[name] = count
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    status["observedGeneration"] = rs["metadata"].get("generation", 0)
    conditions = old.get("conditions") or []
    if failure and objects.condition(rs, "ReplicaFailure") is None:
        conditions = objects.set_condition(
            conditions,
            {"type": "ReplicaFailure", "status": "True", "reason": failure[0], "message": failure[1]},
            now,
        )
    elif not failure:
        conditions = objects.without_condition(conditions, "ReplicaFailure")
    status.pop("conditions", None)
    if conditions:
        status["conditions"] = conditions
    return status


def make_reconcile(flavor: Flavor) -> Callable[[Context, str], Any]:
    async def reconcile(context: Context, key: str) -> float | None:
        namespace, name = split_key(key)
        expectations: Expectations = context.state
        rs = context.cache(flavor.resource).get(namespace, name)
        if rs is None:
            expectations.forget(key)
            return None
        cache = context.cache("pods")
        if not expectations.satisfied(key, cache):
            return 1.0  # the event that completes the cache brings the key back sooner
        rs = objects.with_kind(rs, flavor.api_version, flavor.kind)
        claimed = await ownership.claim(
            context.client,
            cache,
            rs,
            owner_resource=flavor.resource,
            api_version=flavor.api_version,
            kind=flavor.kind,
            resource="pods",
            selects=lambda pod: flavor.selects(rs, pod),
            ignores=objects.is_finished,  # ended pods stay owned, for garbage collection
        )
        active = [p for p in claimed if objects.is_active(p)]
        failure, error = None, None
        if "deletionTimestamp" not in rs["metadata"]:
            failure, error = await _act(context, flavor, rs, key, active)
        return await _write_status(context, flavor, rs, active, claimed, failure, error)

    return reconcile


async def _act(
    context: Context, flavor: Flavor, rs: Object, key: str, active: list[Object]
) -> tuple[tuple[str, str] | None, Exception | None]:
    wanted = rs["spec"].get("replicas", 1)
    now = context.clock.now()
    related = related_pods_on_nodes(context, flavor, rs) if len(active) > wanted else {}
    todo = plan(wanted, active, related_on_node=related, now=now)
    try:
        if todo.create:
            new = [
                pods.from_template(rs["spec"]["template"], rs, flavor.api_version, flavor.kind)
                for _ in range(todo.create)
            ]
            await pods.create_many(context, rs, new, key=key, expectations=context.state)
        await pods.delete_many(context, rs, todo.delete, key=key, expectations=context.state)
    except Exception as e:  # noqa: BLE001 - told in the status first, raised after
        return ("FailedCreate" if todo.create else "FailedDelete", str(e)), e
    return None, None


async def _write_status(
    context: Context,
    flavor: Flavor,
    rs: Object,
    active: list[Object],
    claimed: list[Object],
    failure: tuple[str, str] | None,
    error: Exception | None,
) -> float | None:
    now = context.clock.now()
    min_ready = rs["spec"].get("minReadySeconds", 0)
    terminating = sum(1 for p in claimed if objects.is_terminating(p)) if flavor is REPLICA_SET else None
    labels = (rs["spec"].get("template") or {}).get("metadata", {}).get("labels") or {}
    status = status_of(
        rs,
        active,
        min_ready=min_ready,
        now=now,
        failure=failure,
        template_labels=labels,
        terminating=terminating,
    )
    await pods.update_status(context, flavor.resource, rs, status)
    if error is not None:
        raise error
    waits = [w for p in active if (w := objects.available_in(p, min_ready, now))]
    return min(waits) + 0.001 if waits else None


def related_pods_on_nodes(context: Context, flavor: Flavor, rs: Object) -> dict[str, int]:
    """Active pods per node of all sets under the same Deployment: a scale-down thins out the fullest node."""
    ref = ownership.controller_of(rs)
    related = [rs]
    if ref is not None:
        related = [
            o
            for o in context.cache(flavor.resource).list(rs["metadata"]["namespace"])
            if (r := ownership.controller_of(o)) is not None and r["uid"] == ref["uid"]
        ]
    counts: dict[str, int] = {}
    for one in related:
        for pod in ownership.owned(context.cache("pods"), one):
            if objects.is_active(pod) and (node := pod["spec"].get("nodeName")):
                counts[node] = counts.get(node, 0) + 1
    return counts


def setup(context: Context) -> Expectations:
    ownership.index_by_controller(context.cache("pods"))
    return Expectations()


def watches(flavor: Flavor) -> tuple[Watch, ...]:
    return (
        Watch(flavor.resource, own_key),
        Watch("pods", pods.keys_of_owner_or_orphan(flavor.resource, flavor.kind, flavor.selects)),
    )


def rules(group: str, resource: str) -> tuple[Any, ...]:
    return (
        rule(group, resource, READ + " update"),
        rule(group, f"{resource}/status", "update"),
        rule(group, f"{resource}/finalizers", "update"),
        rule("", "pods", "list watch patch create delete"),
        events(),
    )


CONTROLLER = Controller(
    name="replicaset-controller",
    reconcile=make_reconcile(REPLICA_SET),
    watches=watches(REPLICA_SET),
    rules=rules("apps", "replicasets"),
    setup=setup,
)
