"""Decisions, as scenarios: nodes, pods there, a pod → the node, or the message people see."""

import random

import pytest
from scheduling import decide, node, pod, profile, table

from kubewheel.scheduler.podinfo import podinfo

TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
ZONES = [node(f"n{i}", labels={"topology.kubernetes.io/zone": z}) for i, z in enumerate("aab")]


def term(app, key="kubernetes.io/hostname"):
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}


def required(*terms):
    return {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}


def spread(**more):
    return {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}, **more}


WEB = {"app": "web"}

FAILURES = {
    "no nodes": (pod("p"), [], [], "no nodes available to schedule pods"),
    "cpu": (pod("p", cpu="5"), [node("a"), node("b")], [], "0/2 nodes are available: 2 Insufficient cpu."),
    "cpu and memory": (pod("p", cpu="5", memory="9Gi"), [node("a")], [],
                       "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."),
    "extended": (pod("p", requests={"nvidia.com/gpu": "1"}), [node("a")], [],
                 "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
    "pods": (pod("p"), [node("a", pods="1")], [pod("x", node="a")], "0/1 nodes are available: 1 Too many pods."),
    "taint": (pod("p", cpu="5"), [node("a", taints=[TAINT]), node("b"), node("c")], [],
              "0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 Insufficient cpu."),
    "cordoned": (pod("p"), [node("a", unschedulable=True)], [],
                 "0/1 nodes are available: 1 node(s) were unschedulable."),
    "selector": (pod("p", nodeSelector={"disk": "ssd"}), [node("a")], [],
                 "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
    "port": (pod("p", ports=[{"containerPort": 80, "hostPort": 80}]), [node("a")],
             [pod("x", node="a", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1"}])],
             "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."),
    "anti-affinity": (pod("p", affinity={"podAntiAffinity": required(term("web"))}), [node("a")],
                      [pod("x", node="a", labels=WEB)],
                      "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."),
    "existing anti-affinity": (pod("p", labels=WEB), [node("a")],
                               [pod("x", node="a", affinity={"podAntiAffinity": required(term("web"))})],
                               "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."),
    "affinity": (pod("p", affinity={"podAffinity": required(term("web"))}), [node("a")], [],
                 "0/1 nodes are available: 1 node(s) didn't match pod affinity rules."),
    "spread": (pod("p", labels=WEB, topologySpreadConstraints=[spread(nodeAffinityPolicy="Ignore")],
                   nodeSelector={"topology.kubernetes.io/zone": "a"}),
               ZONES + [node("bare")], [pod("x", node="n0", labels=WEB)],
               "0/4 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, "
               "2 node(s) didn't match pod topology spread constraints."),
}

@pytest.mark.parametrize("name", FAILURES)
def test_why_not(name):
    the_pod, nodes, pods, message = FAILURES[name]
    decision = decide(the_pod, nodes, pods)
    assert decision.node is None
    assert decision.message() == message


CHOICES = {
    "least allocated": (pod("p", cpu="1"), [node("a"), node("b")], [pod("x", node="a", cpu="2")], {"b"}),
    "toleration": (pod("p", tolerations=[{"key": "k", "operator": "Exists"}]), [node("a", taints=[TAINT])], [], {"a"}),
    "prefer no taint": (pod("p"), [node("a", taints=[TAINT | {"effect": "PreferNoSchedule"}]), node("b")], [], {"b"}),
    "same port, other ip": (
        pod("p", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.2"}]), [node("a")],
        [pod("x", node="a", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1"}])], {"a"}),
    "same port, other protocol": (
        pod("p", ports=[{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}]), [node("a")],
        [pod("x", node="a", ports=[{"containerPort": 80, "hostPort": 80}])], {"a"}),
    "affinity to a zone": (
        pod("p", affinity={"podAffinity": required(term("web", "topology.kubernetes.io/zone"))}), ZONES,
        [pod("x", node="n0", labels=WEB, cpu="1m", memory="1Mi")], {"n0", "n1"}),
    "first of its group": (
        pod("p", labels=WEB, affinity={"podAffinity": required(term("web"))}), ZONES, [], {"n0", "n1", "n2"}),
    "spread over zones": (
        pod("p", labels=WEB, topologySpreadConstraints=[spread()]), ZONES, [pod("x", node="n0", labels=WEB)], {"n2"}),
    "soft spread": (
        pod("p", labels=WEB, topologySpreadConstraints=[spread(whenUnsatisfiable="ScheduleAnyway")]), ZONES,
        [pod("x", node="n0", labels=WEB, cpu="1m", memory="1Mi")], {"n2"}),
    "preferred node": (
        pod("p", affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 10, "preference": {"matchExpressions": [
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}}]}}),
        ZONES, [], {"n2"}),
    "by field": (
        pod("p", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}}), ZONES, [], {"n1"}),
    "image": (pod("p", image="big:1"), [node("a"), node("b", images=[{"names": ["big:1"], "sizeBytes": 900 * 2**20}])],
              [], {"b"}),
    "preferred pods": (
        pod("p", affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": term("web")}]}}), [node("a"), node("b")],
        [pod("x", node="a", labels=WEB)], {"b"}),
}


@pytest.mark.parametrize("name", CHOICES)
def test_where(name):
    the_pod, nodes, pods, good = CHOICES[name]
    seen = {decide(the_pod, nodes, pods, seed=s).node for s in range(20)}
    assert seen == good


def test_most_allocated_packs():
    config = {"profiles": [{"pluginConfig": [{"name": "NodeResourcesFit", "args": {
        "scoringStrategy": {"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}]}}}],
        "plugins": {"multiPoint": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}}}]}
    assert decide(pod("p", cpu="1"), [node("a"), node("b")], [pod("x", node="a", cpu="2")], config).node == "a"


def test_reuse_says_the_same_as_asking_anew():
    """Entries kept through a long history of binds, deletions and node changes equal a fresh decision."""
    rng = random.Random(5)
    t = table([node(f"n{i}", labels={"topology.kubernetes.io/zone": "ab"[i % 2]}) for i in range(20)])
    kept = profile().decider
    shapes = [dict(cpu="500m", memory="1Gi", labels=WEB, topologySpreadConstraints=[spread(maxSkew=2)]),
              dict(cpu="1", labels={"app": "db"}, affinity={"podAntiAffinity": required(term("db"))}),
              dict(memory="2Gi", tolerations=[{"operator": "Exists"}])]
    bound = []
    for step in range(300):
        info = podinfo(pod(f"p{step}", **shapes[rng.randrange(3)]))
        seed = rng.randrange(1000)
        one = kept.decide(info, t, random.Random(seed))
        other = profile().decider.decide(info, t, random.Random(seed))
        assert one.node == other.node
        assert one.node or one.message() == other.message()
        if one.node:
            t.add_pod(info, one.node)
            bound.append(info.uid)
        if rng.random() < 0.4 and bound:
            t.remove_pod(bound.pop(rng.randrange(len(bound))))
        if rng.random() < 0.1:
            number = rng.randrange(20)
            t.set_node(node(f"n{number}", cpu=rng.choice("248"), taints=rng.choice([(), [TAINT]]),
                            labels={"topology.kubernetes.io/zone": "ab"[number % 2]}))
        if step == 150:
            t.remove_node("n7")
    assert len(bound) > 50


def test_requests_count_sidecars_and_inits():
    p = pod("p", cpu="1", initContainers=[
        {"name": "i", "resources": {"requests": {"cpu": "3"}}},
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
        {"name": "j", "resources": {"requests": {"cpu": "2"}}}], overhead={"cpu": "100m"})
    assert dict(podinfo(p).shape.requests)["cpu"] == 3100
