"""Silent nodes, taints, eviction, rescheduling; zones limit the pace."""

import asyncio

import pytest
from workloads_kit import (
    condition,
    events,
    in_cluster,
    is_ready,
    meta,
    name,
    pods,
    rolled,
    settle,
    status,
    until,
    workload,
)

from kubewheel.controllers import node_lifecycle, node_zones, taint_eviction

D = "deployments.apps"
RATES = node_zones.Rates()


def node(ready, zone="a", taints=(), **spec):
    return {
        "metadata": {"name": "n", "labels": {node_zones.ZONE: zone}},
        "spec": {**({"taints": list(taints)} if taints else {}), **spec},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.mark.parametrize(
    ("ready", "silent", "state", "rate"),
    [
        (5, 0, "Normal", 0.1),
        (5, 2, "Normal", 0.1),
        (0, 1, "FullDisruption", 0.1),
        (1, 2, "Normal", 0.1),
        (2, 3, "PartialDisruption", 0.0),
        (30, 40, "PartialDisruption", 0.01),
    ],
)
def test_zone_states(ready, silent, state, rate):
    zone = [node("True")] * ready + [node("Unknown")] * silent
    assert node_zones.state_of(zone, RATES) == state
    assert node_zones.rate_of(zone, RATES) == rate


def test_limiter_goes_zone_by_zone():
    limiter = node_zones.Limiter()
    assert limiter.take("a", 0.1, 100.0) == 0.0
    assert limiter.take("a", 0.1, 104.0) == 6.0
    assert limiter.take("b", 0.1, 104.0) == 0.0
    assert limiter.take("a", 0.1, 110.0) == 0.0
    assert limiter.take("a", 0.0, 500.0) > 0


MINE = {"key": "mine", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("n", "evict", "wanted"),
    [
        (node("True"), True, []),
        (node("True", taints=[MINE]), True, [("mine", "NoSchedule")]),
        (node("False"), True, [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]),
        (node("Unknown"), True, [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]),
        (node("Unknown"), False, [("unreachable", "NoSchedule")]),
        (node("True", unschedulable=True), True, [("unschedulable", "NoSchedule")]),
        (node("True", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]), True, []),
    ],
)
def test_taints_follow_conditions(n, evict, wanted):
    found = node_lifecycle.taints_for(n, evict=evict, now=0.0)
    assert [(t["key"].removeprefix("node.kubernetes.io/"), t["effect"]) for t in found] == wanted


A, B = {"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoExecute"}


def tolerate(key, seconds=None):
    return {
        "key": key,
        "operator": "Exists",
        "effect": "NoExecute",
        **({} if seconds is None else {"tolerationSeconds": seconds}),
    }


@pytest.mark.parametrize(
    ("taints", "tolerations", "wait"),
    [
        ([A], [], 0.0),
        ([A], [tolerate("a")], None),
        ([A], [tolerate("a", 30)], 30.0),
        ([A, B], [tolerate("a", 30)], 0.0),
        ([A, B], [tolerate("a", 30), tolerate("b", 10)], 10.0),
        ([A, B], [tolerate("a", 30), tolerate("b")], 30.0),
        ([A], [tolerate("a", -5)], 0.0),
    ],
)
def test_eviction_delays(taints, tolerations, wait):
    assert taint_eviction.evict_in(taints, tolerations) == wait


def test_silent_node_loses_its_pods_to_the_others():
    async def work(c):
        loop = asyncio.get_running_loop()
        await c.client.create(D, workload("Deployment", "web", replicas=4))
        await c.wait_for(D, "web", rolled(4))
        dead = c.nodes[0]
        lost = {name(p) for p in await pods(c, "web") if p["spec"]["nodeName"] == dead.name}
        assert lost
        dead.stop()
        begun = loop.time()
        n = await c.wait_for(
            "nodes",
            dead.name,
            namespace=None,
            condition=lambda n: condition(n, "Ready")["status"] == "Unknown",
            timeout=120,
        )
        assert 40 <= loop.time() - begun <= 66
        assert condition(n, "Ready")["reason"] == "NodeStatusUnknown"
        n = await c.wait_for(
            "nodes", dead.name, namespace=None, condition=lambda n: len(n["spec"].get("taints") or ()) == 2
        )
        assert {t["effect"] for t in n["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
        for pod in lost:
            await c.wait_for("pods", pod, lambda p: not is_ready(p))
        silent_at = loop.time()

        async def moved():
            alive = [p for p in await pods(c, "web") if "deletionTimestamp" not in meta(p) and is_ready(p)]
            return len(alive) == 4 and all(p["spec"]["nodeName"] != dead.name for p in alive)

        await until(c, moved, timeout=400)
        assert 295 < loop.time() - silent_at < 310  # the default toleration of 300 s
        for pod in lost:  # nobody there to end them: they stay, terminating
            found = await c.client.get("pods", pod, namespace="default")
            assert condition(found, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
        assert await events(c, "NodeNotReady", "default")
        await dead.start()
        n = await c.wait_for(
            "nodes",
            dead.name,
            namespace=None,
            condition=lambda n: condition(n, "Ready")["status"] == "True" and not n["spec"].get("taints"),
            timeout=60,
        )
        for pod in lost:
            await c.wait_gone("pods", pod)

    in_cluster(work)


def test_node_that_says_not_ready_is_tainted_and_healed():
    async def work(c):
        await c.nodes[0].not_ready()
        await c.wait_for(
            "nodes",
            "node-0",
            namespace=None,
            condition=lambda n: {t["key"] for t in n["spec"].get("taints") or ()} == {"node.kubernetes.io/not-ready"},
        )
        await c.nodes[0].ready()
        await c.wait_for("nodes", "node-0", namespace=None, condition=lambda n: not n["spec"].get("taints"))

    in_cluster(work)


def test_with_no_node_left_nobody_is_evicted():
    async def work(c):
        await c.client.create(D, workload("Deployment", "web", replicas=2))
        await c.wait_for(D, "web", rolled(2))
        for n in c.nodes:
            n.stop()
        await asyncio.sleep(600)
        assert len(await pods(c, "web")) == 2
        assert not any("deletionTimestamp" in meta(p) for p in await pods(c, "web"))

    in_cluster(work)


def test_nodes_of_a_zone_are_given_up_one_by_one():
    async def work(c):
        for n in c.nodes[:2]:
            n.stop()
        stamps = {}

        async def both():
            for n in (await c.client.list("nodes"))["items"]:
                for t in n["spec"].get("taints") or ():
                    if t["effect"] == "NoExecute":
                        stamps.setdefault(name(n), asyncio.get_running_loop().time())
            return len(stamps) == 2

        await until(c, both, timeout=200)
        first, second = sorted(stamps.values())
        assert 9 < second - first < 12

    in_cluster(work, nodes=4)


def bare(pod_name, *tolerations):
    return {
        "metadata": {"name": pod_name, "namespace": "default", "labels": {"app": "bare"}},
        "spec": {"nodeName": "node-0", "tolerations": list(tolerations), "containers": [{"name": "c", "image": "i"}]},
    }


def test_no_execute_taint_and_its_removal():
    async def work(c):
        loop = asyncio.get_running_loop()
        key = "kubernetes.io/e2e-evict-taint-key"
        for pod in (
            bare("none"),
            bare("ever", tolerate(key)),
            bare("short", tolerate(key, 5)),
            bare("long", tolerate(key, 60)),
        ):
            await c.client.create("pods", pod)
        for pod in ("none", "ever", "short", "long"):
            await c.wait_for("pods", pod, is_ready)
        begun = loop.time()
        await c.client.patch(
            "nodes", "node-0", {"spec": {"taints": [{"key": key, "value": "v", "effect": "NoExecute"}]}}
        )
        await c.wait_gone("pods", "none")
        assert loop.time() - begun < 2
        await c.wait_gone("pods", "short")
        assert 4.5 < loop.time() - begun < 7
        await c.client.patch("nodes", "node-0", {"spec": {"taints": None}})
        await settle(120)
        assert sorted(name(p) for p in await pods(c, "bare")) == ["ever", "long"]
        assert any("Cancelling deletion" in e["message"] for e in await events(c, "TaintManagerEviction"))

    in_cluster(work)


def test_pods_of_a_deleted_node_are_collected():
    async def work(c):
        await c.client.create("pods", bare("left"))
        await c.wait_for("pods", "left", is_ready)
        c.nodes[0].stop()
        await c.client.delete("nodes", "node-0")
        await c.wait_gone("pods", "left", timeout=120)
        assert {"RegisteredNode", "RemovingNode"} <= {e["reason"] for e in await events(c)}

    in_cluster(work)


def budget(**spec):
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


async def evict(c, pod):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    return await c.client.create("pods", body, subresource="eviction", namespace="default", name=pod)


@pytest.mark.parametrize(
    ("spec", "allowed", "desired"),
    [
        ({"minAvailable": 2}, 1, 2),
        ({"maxUnavailable": 1}, 1, 2),
        ({"minAvailable": "70%"}, 0, 3),
        ({"maxUnavailable": "50%"}, 2, 1),
        ({"minAvailable": 5}, 0, 5),
    ],
)
def test_budgets(spec, allowed, desired):
    async def work(c):
        await c.client.create(D, workload("Deployment", "web", replicas=3))
        await c.wait_for(D, "web", rolled(3))
        await c.client.create("poddisruptionbudgets.policy", budget(**spec))
        found = await c.wait_for(
            "poddisruptionbudgets.policy", "web", lambda b: status(b).get("observedGeneration") == 1
        )
        s = status(found)
        assert (s["disruptionsAllowed"], s["desiredHealthy"], s["expectedPods"], s["currentHealthy"]) == (
            allowed,
            desired,
            3,
            3,
        )

    in_cluster(work)


def test_eviction_goes_by_the_budget():
    from kubewheel.api.errors import StatusError

    async def work(c):
        await c.client.create(D, workload("Deployment", "web", replicas=3, annotations={"ready-seconds": 10}))
        await c.wait_for(D, "web", rolled(3), timeout=60)
        await c.client.create("poddisruptionbudgets.policy", budget(minAvailable=2))
        await c.wait_for("poddisruptionbudgets.policy", "web", lambda b: status(b).get("disruptionsAllowed") == 1)
        first, second, _ = sorted(name(p) for p in await pods(c, "web"))
        await evict(c, first)
        with pytest.raises(StatusError) as refused:
            await evict(c, second)
        assert refused.value.code == 429
        await c.wait_gone("pods", first)
        await c.wait_for(
            "poddisruptionbudgets.policy", "web", lambda b: status(b).get("disruptionsAllowed") == 1, timeout=60
        )
        await evict(c, second)
        await c.wait_gone("pods", second)
        await c.wait_for(D, "web", rolled(3), timeout=60)

    in_cluster(work)
