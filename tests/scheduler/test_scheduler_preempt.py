"""Who has to go, and where."""

import random

from scheduling import node, pod, profile, table

from kubewheel.scheduler import preempt
from kubewheel.scheduler.podinfo import podinfo


def outcome(the_pod, nodes, pods, budgets=()):
    t = table(nodes, pods)
    decider, info = profile().decider, podinfo(the_pod)
    before = t.used.copy()
    decision = decider.decide(info, t, random.Random(0))
    assert decision.node is None
    found = preempt.preempt(info, t, decider, decision, budgets, random.Random(0))
    assert (t.used == before).all()
    return decision, found


def test_the_least_important_goes():
    _, found = outcome(pod("p", cpu="2", priority=10), [node("a"), node("b")], [
        pod("a1", cpu="2", node="a", priority=5), pod("a2", cpu="2", node="a", priority=4),
        pod("b1", cpu="2", node="b", priority=3), pod("b2", cpu="2", node="b", priority=6)])
    assert found.plan.node == "b"
    assert [v.name for v in found.plan.victims] == ["b1"]


def test_a_budget_is_spared():
    budget = {"metadata": {"namespace": "default", "name": "x"}, "spec": {"selector": {"matchLabels": {"app": "x"}}},
              "status": {"disruptionsAllowed": 0}}
    _, found = outcome(pod("p", cpu="4", priority=10), [node("a"), node("b")], [
        pod("a1", cpu="4", node="a", priority=1, labels={"app": "x"}), pod("b1", cpu="4", node="b", priority=5)],
        [budget])
    assert (found.plan.node, found.plan.violations) == ("b", 0)


def test_no_help():
    decision, found = outcome(
        pod("p", cpu="4", priority=1),
        [node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]), node("b")],
        [pod("b1", cpu="1", node="b", priority=1)])
    assert found.plan is None
    assert decision.message(found.message) == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. "
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling.")


def test_never():
    _, found = outcome(pod("p", cpu="4", priority=1, preemptionPolicy="Never"), [node("a")],
                       [pod("b1", cpu="1", node="a")])
    assert found.message == "not eligible due to preemptionPolicy=Never."


def test_a_node_kept_for_another_is_not_taken():
    t = table([node("a")])
    high = podinfo(pod("high", cpu="3", priority=10))
    t.nominated[high.uid] = ("a", high)
    decider = profile().decider
    assert decider.decide(podinfo(pod("low", cpu="2")), t, random.Random(0)).node is None
    assert decider.decide(podinfo(pod("higher", cpu="2", priority=20)), t, random.Random(0)).node == "a"
    assert decider.decide(high, t, random.Random(0)).node == "a"
