"""DaemonSets: nodes and taints, updates, roll-back, failed pods; the plans as tables."""

import pytest
from workloads_kit import (
    events,
    in_cluster,
    is_ready,
    items,
    meta,
    name,
    patch,
    pods,
    set_image,
    settle,
    status,
    until,
    workload,
)

from kubewheel.controllers import daemon_nodes, daemonset
from kubewheel.lib.clock import rfc3339

DS = "daemonsets.apps"
NOW = 1_800_000_000.0


def node(n="n1", labels=None, taints=()):
    return {"metadata": {"name": n, "labels": labels or {}}, "spec": {"taints": list(taints)}}


def taint(key, effect, value=""):
    return {"key": key, "effect": effect, "value": value}


def ds(pod_spec=None, **strategy):
    return {
        "metadata": {"name": "d", "namespace": "default", "uid": "d"},
        "spec": {
            "template": {"spec": pod_spec or {}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": strategy},
        },
    }


@pytest.mark.parametrize(
    ("spec", "taints", "labels", "wanted"),
    [
        ({}, [], {}, (True, True)),
        ({}, [taint("k", "NoSchedule")], {}, (False, True)),
        ({}, [taint("k", "NoExecute")], {}, (False, False)),
        ({}, [taint("k", "PreferNoSchedule")], {}, (True, True)),
        ({"tolerations": [{"key": "k", "operator": "Exists"}]}, [taint("k", "NoExecute")], {}, (True, True)),
        ({"tolerations": [{"key": "k", "value": "a"}]}, [taint("k", "NoSchedule", "b")], {}, (False, True)),
        ({}, [taint("node.kubernetes.io/unschedulable", "NoSchedule")], {}, (True, True)),
        ({}, [taint("node.kubernetes.io/not-ready", "NoExecute")], {}, (True, True)),
        ({}, [taint("node.kubernetes.io/network-unavailable", "NoSchedule")], {}, (False, True)),
        ({"hostNetwork": True}, [taint("node.kubernetes.io/network-unavailable", "NoSchedule")], {}, (True, True)),
        ({"nodeSelector": {"color": "blue"}}, [], {"color": "green"}, (False, False)),
        ({"nodeSelector": {"color": "blue"}}, [], {"color": "blue"}, (True, True)),
        ({"nodeName": "other"}, [], {}, (False, False)),
    ],
)
def test_where_pods_belong(spec, taints, labels, wanted):
    assert daemon_nodes.should_run(ds(spec), node(labels=labels, taints=taints)) == wanted


def pod(n, hash_="old", ready=True, on="n1", phase="Running", age=100):
    return {
        "metadata": {
            "name": n,
            "uid": n,
            "namespace": "default",
            "labels": {daemonset.HASH: hash_},
            "creationTimestamp": rfc3339(NOW - age),
        },
        "spec": {"nodeName": on},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": rfc3339(NOW - 60)}],
        },
    }


NODES = [node("n1"), node("n2"), node("n3")]


def update(found, **strategy):
    plan = daemonset.plan_update(ds(**strategy), NODES, daemonset.by_node(found), "new", NOW)
    return plan.create, [name(p) for p in plan.delete]


@pytest.mark.parametrize(
    ("found", "strategy", "create", "delete"),
    [
        ([pod("a"), pod("b", on="n2"), pod("c", on="n3")], {}, [], ["a"]),
        ([pod("a"), pod("b", on="n2"), pod("c", on="n3")], {"maxUnavailable": 2}, [], ["a", "b"]),
        ([pod("a"), pod("b", on="n2"), pod("c", on="n3")], {"maxUnavailable": "100%"}, [], ["a", "b", "c"]),
        ([pod("a", "new", ready=False), pod("b", on="n2"), pod("c", on="n3")], {}, [], []),
        ([pod("a"), pod("b", on="n2", ready=False), pod("c", on="n3")], {}, [], ["b"]),
        ([pod("a", "new"), pod("b", "new", on="n2"), pod("c", "new", on="n3")], {}, [], []),
        ([pod("a"), pod("b", on="n2"), pod("c", on="n3")], {"maxSurge": 1, "maxUnavailable": 0}, ["n1"], []),
        (
            [pod("a"), pod("x", "new", ready=False), pod("b", on="n2"), pod("c", on="n3")],
            {"maxSurge": 1, "maxUnavailable": 0},
            [],
            [],
        ),
    ],
)
def test_update_steps(found, strategy, create, delete):
    assert update(found, **strategy) == (create, delete)


def test_surged_pod_takes_over():
    plan = daemonset.plan_nodes(
        ds(maxSurge=1, maxUnavailable=0),
        NODES[:1],
        daemonset.by_node([pod("old"), pod("new", "new", age=10)]),
        "new",
        NOW,
    )
    assert [name(p) for p in plan.delete] == ["old"]


def available(n):
    return lambda d: (
        status(d).get("numberAvailable", 0) == n == status(d).get("updatedNumberScheduled", 0)
        and status(d)["observedGeneration"] == meta(d)["generation"]
        and status(d)["desiredNumberScheduled"] == n
    )


async def on_nodes(c, *wanted):
    return sorted(p["spec"].get("nodeName", "") for p in await pods(c, "agent")) == list(wanted)


def agent(**spec):
    return workload("DaemonSet", "agent", **spec)


def test_follows_nodes_labels_and_selectors():
    async def work(c):
        await c.client.create(DS, agent(pod_spec={"nodeSelector": {"color": "blue"}}))
        await settle(3)
        assert not await pods(c, "agent")
        await c.client.patch("nodes", "node-0", {"metadata": {"labels": {"color": "blue"}}})
        await until(c, lambda: on_nodes(c, "node-0"))
        await c.client.patch("nodes", "node-0", {"metadata": {"labels": {"color": "green"}}})
        await until(c, lambda: on_nodes(c))
        template = {"spec": {"nodeSelector": {"color": "green"}}}
        await patch(c, DS, "agent", template=template, updateStrategy={"type": "RollingUpdate"})
        await until(c, lambda: on_nodes(c, "node-0"))
        await c.wait_for(DS, "agent", available(1))

    in_cluster(work)


def test_taints_keep_pods_away_and_drive_them_out():
    async def work(c):
        await c.client.create(DS, agent())
        await c.wait_for(DS, "agent", available(2))
        taints = [{"key": "k", "effect": "NoExecute"}]
        await c.client.patch("nodes", "node-0", {"spec": {"taints": taints}})
        await until(c, lambda: on_nodes(c, "node-1"))
        await c.client.patch("nodes", "node-0", {"spec": {"taints": None}})
        await c.wait_for(DS, "agent", available(2))
        (more,) = await c.add_nodes(1)
        await c.wait_for(DS, "agent", available(3))
        assert more.name in {p["spec"]["nodeName"] for p in await pods(c, "agent")}

    in_cluster(work)


def test_rollback_restarts_only_what_was_changed():
    async def work(c):
        await c.client.create(DS, agent())
        await c.wait_for(DS, "agent", available(3))
        before = {meta(p)["uid"] for p in await pods(c, "agent")}
        await set_image(c, DS, "agent", "bad", {"ready-seconds": 100000})

        async def one_new():
            found = await pods(c, "agent")
            return len(found) == 3 and [p["spec"]["containers"][0]["image"] for p in found].count("bad") == 1

        await until(c, one_new)
        await settle(10)
        assert await one_new()
        kept = {meta(p)["uid"] for p in await pods(c, "agent")} & before
        assert len(kept) == 2
        await set_image(c, DS, "agent", "nginx:1", {"ready-seconds": None})
        template = {"metadata": {"annotations": None}}
        await patch(c, DS, "agent", template=template)
        await c.wait_for(DS, "agent", available(3))
        assert kept <= {meta(p)["uid"] for p in await pods(c, "agent")}
        found = sorted(await items(c, "controllerrevisions.apps"), key=lambda r: r["revision"])
        assert found[-1]["data"]["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"
        assert found[-1]["revision"] >= 3

    in_cluster(work, nodes=3)


def test_failed_pods_are_replaced_ever_more_slowly():
    async def work(c):
        await c.client.create(DS, agent())
        await c.wait_for(DS, "agent", available(1))
        node = c.nodes[0]
        for _ in range(4):
            (victim,) = await pods(c, "agent")
            node.fail_pod("default", name(victim))

            async def replaced(uid=meta(victim)["uid"]):
                found = await pods(c, "agent")
                return len(found) == 1 and meta(found[0])["uid"] != uid and is_ready(found[0])

            await until(c, replaced, timeout=30)
        told = await events(c, "FailedDaemonPod")
        assert sum(e.get("count", 1) for e in told) == 4
        assert c.control_plane.clock.now() - 0 > 0

    in_cluster(work, nodes=1)


def test_on_delete_waits_for_the_user():
    async def work(c):
        await c.client.create(DS, agent(updateStrategy={"type": "OnDelete"}))
        await c.wait_for(DS, "agent", available(1))
        await set_image(c, DS, "agent", "nginx:2")
        await settle(5)
        (pod,) = await pods(c, "agent")
        assert pod["spec"]["containers"][0]["image"] == "nginx:1"
        await c.client.delete("pods", name(pod), namespace="default")
        await c.wait_for(DS, "agent", available(1))
        (pod,) = await pods(c, "agent")
        assert pod["spec"]["containers"][0]["image"] == "nginx:2"

    in_cluster(work, nodes=1)


def test_surge_never_leaves_the_node_alone():
    async def work(c):
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await c.client.create(DS, agent(updateStrategy=strategy))
        await c.wait_for(DS, "agent", available(1))
        await set_image(c, DS, "agent", "nginx:2", {"ready-seconds": 5})
        lowest = []

        async def out():
            found = await pods(c, "agent")
            lowest.append(sum(is_ready(p) and "deletionTimestamp" not in meta(p) for p in found))
            return [p["spec"]["containers"][0]["image"] for p in found] == ["nginx:2"] and is_ready(found[0])

        await until(c, out)
        assert min(lowest) >= 1

    in_cluster(work, nodes=1)
