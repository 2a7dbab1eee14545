"""Pods bound a second: the pods wait in the API, then the scheduler starts; it binds through the whole chain."""

from __future__ import annotations

import asyncio
import time

from kubewheel.testing.bench import child, objects
from kubewheel.testing.bench.figures import Aim, Figure, median

PODS = 3000


async def inside(nodes: int, pods: int) -> float:
    """Pods bound a second, from the scheduler's start to the last binding."""
    from kubewheel.testing import cluster

    async with cluster(nodes=0, controllers="", scheduler=False) as made:
        await child.make_ready(made)
        for node in await made.add_nodes(nodes):
            node.stop()  # registered, Ready; their pods' lives would be measured too
            await made.client.patch("nodes", node.name, {"spec": {"taints": None}})  # no controller here to do it
        for number in range(pods):
            await made.client.create("pods", objects.pod(f"p{number}"), namespace="default")
        bound = asyncio.Event()
        left = pods

        def seen(old: object, new: object) -> None:
            nonlocal left
            if isinstance(old, dict) and isinstance(new, dict) and (
                    not old["spec"].get("nodeName") and new["spec"].get("nodeName")):
                left -= 1
                if not left:
                    bound.set()

        cache = made.caches.get("pods")
        await cache.wait_synced()
        cache.subscribe(seen)
        began = time.perf_counter()
        made.control_plane._start_scheduler()
        async with asyncio.timeout(120):
            await bound.wait()
        return pods / (time.perf_counter() - began)


def run() -> list[Figure]:
    found = []
    for nodes, aim in ((1000, None), (5000, Aim(">=", 2000))):
        rates = [child.measured(__name__, nodes=nodes, pods=PODS) for _ in range(3)]
        found.append(Figure(f"pods bound, {nodes:,} nodes", median(rates), "pods/s", aim=aim,
                            note="scheduler, API server, watches: one process"))
    return found
