"""ReplicaSets and ReplicationControllers: numbers, adoption and release, who goes first."""

import pytest
from workloads_kit import condition, events, in_cluster, meta, name, patch, pods, settle, status, until, workload

from kubewheel.controllers import replicaset
from kubewheel.lib.clock import rfc3339

RS, RC = "replicasets.apps", "replicationcontrollers"
NOW = 1_800_000_000.0


def pod(name, *, node="n1", phase="Running", ready=True, age=100, ready_for=50, restarts=0, cost=None):
    conditions = [
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": rfc3339(NOW - ready_for)}
    ]
    out = {
        "metadata": {"name": name, "uid": name, "namespace": "default", "creationTimestamp": rfc3339(NOW - age)},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]},
    }
    if cost is not None:
        out["metadata"]["annotations"] = {replicaset.DELETION_COST: str(cost)}
    return out


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("b", node=""), pod("a", phase="Pending", ready=False)),
        (pod("b", phase="Pending", ready=False), pod("a", phase="Unknown", ready=False)),
        (pod("b", phase="Unknown", ready=False), pod("a", ready=False)),
        (pod("b", ready=False), pod("a", cost=-5)),
        (pod("b", cost=-1), pod("a")),
        (pod("b"), pod("a", cost=10)),
        (pod("b", ready_for=10), pod("a", ready_for=100)),
        (pod("b", restarts=3), pod("a", restarts=1)),
        (pod("b", age=60), pod("a", age=900)),
    ],
)
def test_deletion_order(first, second):
    plan = replicaset.plan(1, [second, first], related_on_node={}, now=NOW)
    assert [name(p) for p in plan.delete] == [name(first)]


def test_fullest_node_is_thinned_out_first():
    found = [pod("a", node="n1"), pod("b", node="n2"), pod("c", node="n2")]
    plan = replicaset.plan(2, found, related_on_node={"n1": 1, "n2": 2}, now=NOW)
    assert name(plan.delete[0]) in ("b", "c")


@pytest.mark.parametrize(
    ("wanted", "have", "create", "delete"), [(3, 1, 2, 0), (2, 2, 0, 0), (0, 3, 0, 3), (900, 0, 500, 0)]
)
def test_plan_numbers(wanted, have, create, delete):
    plan = replicaset.plan(wanted, [pod(str(i)) for i in range(have)], related_on_node={}, now=NOW)
    assert (plan.create, len(plan.delete)) == (create, delete)


def ready(n):
    return lambda r: status(r).get("readyReplicas", 0) == n and status(r)["replicas"] == n


def test_adopts_and_releases():
    async def work(c):
        orphan = {
            "metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        }
        await c.client.create("pods", orphan)
        rs = await c.client.create(RS, workload("ReplicaSet", "web", replicas=1))
        await c.wait_for("pods", "orphan", lambda p: meta(p).get("ownerReferences"))
        adopted = await c.client.get("pods", "orphan", namespace="default")
        (ref,) = meta(adopted)["ownerReferences"]
        assert (ref["uid"], ref["controller"], ref["blockOwnerDeletion"]) == (meta(rs)["uid"], True, True)
        await settle(2)
        assert [name(p) for p in await pods(c, "web")] == ["orphan"]
        await c.client.patch("pods", "orphan", {"metadata": {"labels": {"app": "free"}}}, namespace="default")
        await c.wait_for("pods", "orphan", lambda p: not meta(p).get("ownerReferences"))
        await c.wait_for(RS, "web", ready(1))

    in_cluster(work)


def test_failed_pods_are_replaced_but_stay_owned():
    async def work(c):
        await c.client.create(RS, workload("ReplicaSet", "web", replicas=1))
        await c.wait_for(RS, "web", ready(1))
        (victim,) = await pods(c, "web")
        node = next(n for n in c.nodes if n.name == victim["spec"]["nodeName"])
        node.fail_pod("default", name(victim), reason="Evicted")

        async def replaced():
            return len(await pods(c, "web")) == 2

        await until(c, replaced)
        await c.wait_for(RS, "web", ready(1))
        victim = await c.client.get("pods", name(victim), namespace="default")
        assert meta(victim)["ownerReferences"]
        await c.client.delete(RS, "web", namespace="default", propagation="Background")

        async def none_left():
            return not await pods(c, "web")

        await until(c, none_left)

    in_cluster(work)


def test_cheapest_pod_goes_first():
    async def work(c):
        await c.client.create(RS, workload("ReplicaSet", "web", replicas=3))
        await c.wait_for(RS, "web", ready(3))
        chosen = name(sorted(await pods(c, "web"), key=name)[1])
        cost = {"metadata": {"annotations": {replicaset.DELETION_COST: "-1"}}}
        await c.client.patch("pods", chosen, cost, namespace="default")
        await settle(1)
        await patch(c, RS, "web", replicas=2)
        await c.wait_gone("pods", chosen)
        await c.wait_for(RS, "web", ready(2))

    in_cluster(work)


def test_replication_controller_and_its_failure_condition():
    async def work(c):
        rc = workload("ReplicationController", "web", replicas=2)
        rc["apiVersion"] = "v1"
        del rc["spec"]["selector"]  # defaulted from the template
        await c.client.create(RC, rc)
        await c.wait_for(RC, "web", ready(2))
        enforce = "pod-security.kubernetes.io/enforce"
        await c.client.patch("namespaces", "default", {"metadata": {"labels": {enforce: "restricted"}}})
        await patch(c, RC, "web", replicas=3)
        await c.wait_for(RC, "web", lambda r: condition(r, "ReplicaFailure").get("reason") == "FailedCreate")
        assert any(e["involvedObject"]["kind"] == "ReplicationController" for e in await events(c, "FailedCreate"))
        await patch(c, RC, "web", replicas=2)
        await c.wait_for(RC, "web", lambda r: not condition(r, "ReplicaFailure") and ready(2)(r))

    in_cluster(work)
