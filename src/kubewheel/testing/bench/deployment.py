"""A Deployment of 1,000 replicas on 100 simulated nodes: to 1,000 pods created, to all Running and Ready."""

from __future__ import annotations

import time

from kubewheel.testing.bench import child, objects
from kubewheel.testing.bench.figures import Figure, median

REPLICAS, NODES = 1000, 100


async def inside() -> tuple[float, float]:
    from kubewheel.node.life import Latency
    from kubewheel.testing import cluster

    async with cluster(nodes=NODES, node_options={"latency": Latency(start=0.0)}) as made:
        await child.make_ready(made)
        pods = made.caches.get("pods")
        await pods.wait_synced()
        began = time.perf_counter()
        await made.client.create("deployments.apps", objects.deployment("web", REPLICAS), namespace="default")
        await made.wait_until(lambda: len(pods) >= REPLICAS, timeout=120, what="pods created")
        created = time.perf_counter() - began
        await made.wait_for("deployments.apps", "web", timeout=120,
                            condition=lambda d: (d.get("status") or {}).get("readyReplicas") == REPLICAS)
        return created, time.perf_counter() - began


def run() -> list[Figure]:
    times = [child.measured(__name__) for _ in range(3)]
    note = f"{NODES} simulated nodes, one process"
    return [Figure("Deployment of 1,000: pods created", median([t[0] for t in times]), "s", note=note),
            Figure("Deployment of 1,000: all Running", median([t[1] for t in times]), "s", note=note)]
