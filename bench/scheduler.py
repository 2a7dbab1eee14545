"""Decisions a second at 5,000 nodes: `python bench/scheduler.py [nodes] [pods]`. No server: the pure part alone."""

import random
import sys
import time

from kubewheel.scheduler.plugins.base import Handle, NoObjects
from kubewheel.scheduler.podinfo import podinfo
from kubewheel.scheduler.profile import load
from kubewheel.scheduler.table import Table


class Services(NoObjects):
    def list(self, resource, namespace=None):
        return [{"spec": {"selector": {"app": "a0"}}}] if resource == "services" else []


def node(number):
    return {"metadata": {"name": f"n{number}", "labels": {
        "kubernetes.io/hostname": f"n{number}", "topology.kubernetes.io/zone": f"z{number % 5}"}},
        "spec": {}, "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"}}}


def pod(number, app, **spec):
    return {"metadata": {"name": f"p{number}", "namespace": "d", "uid": str(number), "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {
                "requests": {"cpu": "100m", "memory": "200Mi"}}}], **spec}}


ANTI = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "a0"}}, "topologyKey": "kubernetes.io/hostname"}]}}}
SPREAD = {"topologySpreadConstraints": [{
    "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "a0"}}}]}


def run(title, nodes, pods, spec, apps, objects):
    table, rng = Table(), random.Random(0)
    for number in range(nodes):
        table.set_node(node(number))
    decider = next(iter(load(None, Handle(objects)).profiles.values())).decider
    infos = [pod(i, f"a{i % apps}", **spec) for i in range(pods)]
    began = time.perf_counter()
    placed = 0
    for json in infos:
        info = podinfo(json)
        decision = decider.decide(info, table, rng)
        if decision.node:
            table.add_pod(info, decision.node)
            placed += 1
    took = time.perf_counter() - began
    print(f"{title:32} {placed}/{pods} placed, {took / pods * 1e6:6.0f} µs a pod, {pods / took:7.0f} pods/s")


def main():
    nodes, pods = (int(a) for a in (sys.argv[1:] + ["5000", "5000"][len(sys.argv) - 1:]))
    run("plain, one app", nodes, pods, {}, 1, NoObjects())
    run("plain, 50 apps", nodes, pods, {}, 50, NoObjects())
    run("with a Service (default spread)", nodes, pods, {}, 1, Services())
    run("spread over zones", nodes, pods, SPREAD, 1, NoObjects())
    run("anti-affinity by host", nodes, min(pods, nodes), ANTI, 1, NoObjects())


if __name__ == "__main__":
    main()
