"""Scheduling decisions a second at 5,000 nodes: the pure part alone, no server."""

from __future__ import annotations

import random
import time
from typing import Any

from kubewheel.scheduler.plugins.base import Handle, NoObjects
from kubewheel.scheduler.podinfo import podinfo
from kubewheel.scheduler.profile import load
from kubewheel.scheduler.table import Table
from kubewheel.testing.bench import child
from kubewheel.testing.bench.figures import Figure, median

NODES, PODS = 5000, 3000
ANTI = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "a0"}}, "topologyKey": "kubernetes.io/hostname"}]}}}
SPREAD = {"topologySpreadConstraints": [{
    "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "a0"}}}]}


class Services(NoObjects):
    def list(self, resource: Any, namespace: Any = None) -> Any:
        return [{"spec": {"selector": {"app": "a0"}}}] if resource == "services" else []


def node(number: int) -> dict[str, Any]:
    return {"metadata": {"name": f"n{number}", "labels": {
        "kubernetes.io/hostname": f"n{number}", "topology.kubernetes.io/zone": f"z{number % 5}"}},
        "spec": {}, "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"}}}


def pod(number: int, app: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"p{number}", "namespace": "d", "uid": str(number), "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {
                "requests": {"cpu": "100m", "memory": "200Mi"}}}], **spec}}


# What the pods are like: title, spec, number of apps, other objects
CASES: tuple[tuple[str, dict[str, Any], int, Any], ...] = (
    ("plain", {}, 1, NoObjects()),
    ("50 apps", {}, 50, NoObjects()),
    ("with a Service", {}, 1, Services()),
    ("spread over zones", SPREAD, 1, NoObjects()),
    ("anti-affinity by host", ANTI, 1, NoObjects()),
)


def rate(spec: dict[str, Any], apps: int, objects: Any) -> float:
    table, rng = Table(), random.Random(0)
    for number in range(NODES):
        table.set_node(node(number))
    decider = next(iter(load(None, Handle(objects)).profiles.values())).decider
    pods = [pod(i, f"a{i % apps}", **spec) for i in range(PODS)]
    began = time.perf_counter()
    for one in pods:
        info = podinfo(one)
        decision = decider.decide(info, table, rng)
        if not decision.node:
            raise RuntimeError(f"pod {one['metadata']['name']} found no node")
        table.add_pod(info, decision.node)
    return PODS / (time.perf_counter() - began)


async def inside(case: int, times: int) -> list[float]:
    _, spec, apps, objects = CASES[case]
    return [rate(spec, apps, objects) for _ in range(times)]


def run() -> list[Figure]:
    found = []
    for case, (title, *_) in enumerate(CASES):
        _, *rates = child.measured(__name__, case=case, times=4)
        found.append(Figure(f"decisions, {NODES:,} nodes, {title}", median(rates), "pods/s"))
    return found
