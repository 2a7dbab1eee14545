import asyncio

import pytest

from kubewheel.api.resource import Gvr
from kubewheel.controllers import horizontalpodautoscaler, hpa_limits, hpa_replicas
from kubewheel.controllers.hpa_replicas import NoMetric, Sample, Settings
from kubewheel.testing import with_cluster

NAMES = "deployment-controller,replicaset-controller,serviceaccount-controller,node-lifecycle-controller," \
        "horizontal-pod-autoscaler-controller"
STAMP = "2026-01-01T00:00:00Z"
POD_METRICS = Gvr("metrics.k8s.io", "v1beta1", "pods")
METRICS = {"metadata": {"name": "pods.metrics.k8s.io", "annotations": {"api-approved.kubernetes.io": "unapproved"}}, "spec": {
    "group": "metrics.k8s.io", "scope": "Namespaced",
    "names": {"plural": "pods", "singular": "pod", "kind": "PodMetrics", "listKind": "PodMetricsList"},
    "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
NOW = 1_767_225_600.0 + 3600


def pod(name, *, phase="Running", ready=True, request="100m"):
    return {"metadata": {"name": name}, "spec": {"containers": [
        {"name": "c", "resources": {"requests": {"cpu": request} if request else {}}}]},
        "status": {"phase": phase, "startTime": STAMP, "conditions": [
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": STAMP}]}}


def ask(use, *, pods=None, current=None, target=50):
    pods = pods or [pod(f"p{i}") for i in range(len(use))]
    samples = {f"p{i}": Sample(u, NOW) for i, u in enumerate(use) if u is not None}
    return hpa_replicas.by_pods(pods, samples, current=current or len(pods), target=target, cpu=True, settings=Settings(),
                                requests=hpa_replicas.requests_of(pods, "cpu"), now=NOW)[0]


def test_utilization_makes_replicas():
    assert ask([50, 50]) == 2 and ask([54, 54]) == 2  # within a tenth
    assert ask([100, 100]) == 4 and ask([20, 20, 20, 20]) == 2
    assert ask([100, None]) == 2 and ask([10, None]) == 2  # doubt makes no change
    assert ask([200, 200], pods=[pod("p0"), pod("p1"), pod("p2", phase="Pending")]) == 8
    with pytest.raises(NoMetric, match="missing request for cpu in container c of Pod p0"):
        ask([1], pods=[pod("p0", request="")])
    with pytest.raises(NoMetric, match="did not receive metrics"):
        ask([None])


def test_values_make_replicas():
    def say(value, **kw):
        return hpa_replicas.by_value(value, settings=Settings(), **{"current": 2, "ready": 2, "target": 10, "average": False} | kw)

    assert say(10) == 2 and say(30) == 6 and say(30, average=True) == 3 and say(21, average=True) == 2
    assert say(5, current=0, ready=0) == 1


def test_stabilization_and_policies():
    memory = hpa_limits.Memory()

    def say(current, desired, now, **spec):
        got = hpa_limits.limit({"maxReplicas": 100, **spec}, memory, current, desired, down_window=300, now=now)
        return got.replicas, got.limited[1]

    assert say(10, 50, 0) == (20, "ScaleUpLimit")  # at most double (or four more)
    memory.scaled(0, 10)
    assert say(20, 50, 5) == (20, "ScaleUpLimit") and say(20, 50, 20) == (40, "ScaleUpLimit")
    assert say(40, 5, 30) == (40, "DesiredWithinRange")  # it was 50 less than five minutes ago
    assert say(40, 5, 400) == (5, "DesiredWithinRange")
    assert say(40, 200, 900, maxReplicas=60) == (60, "TooManyReplicas")
    slow = {"scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}}
    assert say(40, 1, 9000, behavior=slow) == (38, "ScaleDownLimit")
    assert say(40, 1, 9001, behavior={"scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Disabled"}})[0] == 40


@with_cluster(virtual_time=True, nodes=1, controllers=NAMES)
async def test_bounds_and_missing_metrics(cluster):
    client = cluster.client
    await client.create("deployments.apps", {"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}}}]}}}})
    await client.create(horizontalpodautoscaler.HPAS, {"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2,
        "maxReplicas": 5, "metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})
    await cluster.wait_for("deployments.apps", "web", lambda d: d["spec"]["replicas"] == 2)

    def condition(name, status):
        return lambda h: any(c["type"] == name and c["status"] == status
                             for c in (h.get("status") or {}).get("conditions") or ())

    found = await cluster.wait_for(horizontalpodautoscaler.HPAS, "web", condition("ScalingActive", "False"), timeout=60)
    reason = {c["type"]: c for c in found["status"]["conditions"]}["ScalingActive"]
    assert reason["reason"] == "FailedGetResourceMetric" and "unable to fetch metrics from resource metrics API" in reason["message"]

    # once there are metrics (here by a custom resource that looks like a metrics server) it grows up to the maximum
    await client.create("customresourcedefinitions.apiextensions.k8s.io", METRICS)

    async def measured():
        for p in (await client.list("pods", namespace="default"))["items"]:
            name = p["metadata"]["name"]
            if await client.find(POD_METRICS, name, namespace="default") is None:
                await client.create(POD_METRICS, {
                    "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics",
                    "metadata": {"name": name, "namespace": "default", "labels": p["metadata"]["labels"]},
                    "timestamp": "2027-01-01T00:00:00Z", "window": "30s",
                    "containers": [{"name": "c", "usage": {"cpu": "100m"}}]})
        return (await client.get("deployments.apps", "web", namespace="default"))["spec"]["replicas"] == 5

    await asyncio.sleep(10)
    await cluster.wait_until(measured, timeout=900)
    await cluster.wait_for(horizontalpodautoscaler.HPAS, "web", condition("ScalingActive", "True"), timeout=60)
    events = (await client.list("events", namespace="default"))["items"]
    assert "New size: 4; reason: cpu resource utilization (percentage of request) above target" in {
        e["message"] for e in events if e["reason"] == "SuccessfulRescale"}
