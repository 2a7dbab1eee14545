import asyncio

from controllers_kit import pod, ready_for_pods

from kubewheel.controllers import disruption
from kubewheel.testing import with_cluster

START = 1_767_225_600.0
STAMP = "2026-01-01T00:00:00Z"


def healthy(name, **meta):
    return {"metadata": {"name": name, **meta}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def test_what_may_be_evicted():
    pods = [healthy("a"), healthy("b"), healthy("c"), {"metadata": {"name": "d"}}]

    def say(pods, desired, now=START, **disrupted):
        status, again = disruption.status_of({"metadata": {"generation": 2}, "status": {"disruptedPods": disrupted}}, pods,
                                             len(pods), desired, now)
        return status["currentHealthy"], status["disruptionsAllowed"], status["conditions"][0]["reason"], again

    assert say(pods, 2) == (3, 1, "SufficientPods", None) and say(pods, 3) == (3, 0, "InsufficientPods", None)
    assert say(pods, 1, a=STAMP) == (2, 1, "SufficientPods", 120.0)
    assert say(pods, 1, START + 121, a=STAMP) == (3, 2, "SufficientPods", None)  # it was not deleted after all
    assert say([healthy("a", deletionTimestamp=STAMP), healthy("b")], 0, a=STAMP) == (1, 1, "SufficientPods", None)


@with_cluster(virtual_time=True, nodes=1, scheduler=False, controllers="disruption-controller")
async def test_a_budget_without_scale_and_a_spared_pod(cluster):
    client = cluster.client
    await ready_for_pods(cluster)
    await client.create("poddisruptionbudgets.policy", {"metadata": {"name": "b", "namespace": "default"}, "spec": {
        "minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}})
    for name in ("x", "y"):
        await client.create("pods", pod(name, nodeName="node-0", labels={"a": "b"}))
    await cluster.wait_for("poddisruptionbudgets.policy", "b", lambda b: (b.get("status") or {}).get(
        "disruptionsAllowed") == 1)
    live = await client.get("pods", "x", namespace="default")
    await client.update_status("pods", {**live, "status": {**live["status"], "conditions": [
        *live["status"]["conditions"], {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                                        "lastTransitionTime": "2026-01-01T00:00:10Z"}]}})

    def target(p):
        return {c["type"]: c["status"] for c in p["status"]["conditions"]}["DisruptionTarget"]

    await asyncio.sleep(60)
    assert target(await client.get("pods", "x", namespace="default")) == "True"
    await asyncio.sleep(80)
    await cluster.wait_for("pods", "x", lambda p: target(p) == "False")
