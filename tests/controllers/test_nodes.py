import asyncio

from controllers_kit import pod, ready_for_pods

from kubewheel.controllers import clusterrole_aggregation, node_ipam, node_lifecycle, node_zones, taint_eviction, ttl
from kubewheel.testing import with_cluster

NODES = "node-lifecycle-controller,taint-eviction-controller,node-ipam-controller,ttl-controller"
ROLES = clusterrole_aggregation.ROLES


def node(ready="True", *, taints=(), unschedulable=False, **conditions):
    spec = {"taints": list(taints)} | ({"unschedulable": True} if unschedulable else {})
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": [
        {"type": k, "status": v} for k, v in {"Ready": ready, **conditions}.items()]}}


def taint(name, effect="NoSchedule"):
    return {"key": f"node.kubernetes.io/{name}", "effect": effect}


def test_conditions_make_taints():
    def say(n, evict=True):
        return [(t["key"].rpartition("/")[2], t["effect"]) for t in node_lifecycle.taints_for(n, evict=evict, now=0.0)]

    assert say(node(taints=[taint("not-ready"), taint("not-ready", "NoExecute")])) == []
    assert say(node("False")) == [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]
    assert say(node("Unknown", taints=[taint("not-ready", "NoExecute")])) == [
        ("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert say(node("False"), evict=False) == [("not-ready", "NoSchedule")]
    assert say(node(MemoryPressure="True", DiskPressure="False", unschedulable=True)) == [
        ("memory-pressure", "NoSchedule"), ("unschedulable", "NoSchedule")]
    assert say(node(taints=[taint("mine"), taint("disk-pressure")])) == [("mine", "NoSchedule")]


def test_how_long_taints_are_borne():
    unreachable = taint("unreachable", "NoExecute")
    five = {"key": unreachable["key"], "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for tolerations, wanted in (([], 0.0), ([five], 300.0), ([{"operator": "Exists"}], None),
                                ([{"operator": "Exists"}, five], 300.0), ([five | {"tolerationSeconds": -1}], 0.0),
                                ([five | {"effect": "NoSchedule"}], 0.0)):
        assert taint_eviction.evict_in([unreachable], tolerations) == wanted


def test_ranges_annotations_and_zones():
    assert node_ipam.free_range("10.0.0.0/22", 24, []) == "10.0.0.0/24"
    assert node_ipam.free_range("10.0.0.0/22", 24, ["10.0.0.0/24", "10.0.2.0/24"]) == "10.0.1.0/24"
    assert node_ipam.free_range("10.0.0.0/23", 24, ["10.0.0.0/24", "10.0.1.0/24"]) is None
    assert node_ipam.free_range("fd00::/63", 64, ["fd00::/64"]) == "fd00:0:0:1::/64"
    assert [ttl.ttl_for(n) for n in (1, 100, 101, 1000, 6000)] == [0, 0, 15, 30, 300]
    rates = node_zones.Rates()
    good, bad = node(), node("Unknown")
    assert node_zones.rate_of([good] * 9 + [bad], rates) == 0.1
    assert node_zones.rate_of([good] * 4 + [bad] * 6, rates) == 0.0
    assert node_zones.rate_of([good] * 40 + [bad] * 60, rates) == 0.01
    assert node_zones.rate_of([bad] * 3, rates) == 0.1


@with_cluster(virtual_time=True, nodes=2, scheduler=False, controllers=NODES)
async def test_a_silent_node_loses_its_pods_and_comes_back(cluster):
    client = cluster.client
    await ready_for_pods(cluster)
    fresh = await cluster.wait_for("nodes", "node-0", lambda n: n["spec"].get("podCIDR") and not n["spec"].get("taints")
                                   and ttl.ANNOTATION in n["metadata"]["annotations"], namespace=None)
    assert fresh["metadata"]["annotations"][ttl.ANNOTATION] == "0"
    await client.create("pods", pod("short", nodeName="node-0"))
    await client.create("pods", pod("stays", nodeName="node-0", tolerations=[{"operator": "Exists"}]))
    for name in ("short", "stays"):
        await cluster.wait_for("pods", name, lambda p: p["status"].get("phase") == "Running")
    await asyncio.sleep(120)
    assert not (await client.get("nodes", "node-0"))["spec"].get("taints")  # it is heard of all the time
    cluster.nodes[0].stop()
    await asyncio.sleep(30)
    assert not (await client.get("nodes", "node-0"))["spec"].get("taints")  # grace
    lost = await cluster.wait_for("nodes", "node-0", lambda n: len(n["spec"].get("taints") or ()) == 2, namespace=None,
                                  timeout=60)
    assert {t["effect"] for t in lost["spec"]["taints"]} == {"NoSchedule", "NoExecute"}
    assert {c["reason"] for c in lost["status"]["conditions"]} == {"NodeStatusUnknown"}

    def unready(p):
        return any(c["type"] == "Ready" and c["status"] == "False" for c in p["status"]["conditions"])

    await cluster.wait_for("pods", "stays", unready)
    # admission gave it 300 s of tolerance
    assert "deletionTimestamp" not in (await client.get("pods", "short", namespace="default"))["metadata"]
    await asyncio.sleep(310)
    short = await client.get("pods", "short", namespace="default")
    assert "deletionTimestamp" in short["metadata"]
    assert {c["reason"] for c in short["status"]["conditions"] if c["type"] == "DisruptionTarget"} == {
        "DeletionByTaintManager"}
    assert "deletionTimestamp" not in (await client.get("pods", "stays", namespace="default"))["metadata"]
    await cluster.nodes[0].start()
    await cluster.wait_for("nodes", "node-0", lambda n: not n["spec"].get("taints"), namespace=None, timeout=2)
    await cluster.wait_gone("pods", "short")


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="clusterrole-aggregation-controller")
async def test_roles_add_up(cluster):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    await cluster.client.create(ROLES, {"metadata": {"name": "sum"}, "rules": [], "aggregationRule": {
        "clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]}})
    await cluster.client.create(ROLES, {"metadata": {"name": "one", "labels": {"part": "yes"}}, "rules": rules})
    await cluster.wait_for(ROLES, "sum", lambda r: r.get("rules") == rules, namespace=None)
    await cluster.client.delete(ROLES, "one")
    await cluster.wait_for(ROLES, "sum", lambda r: not r.get("rules"), namespace=None)
