"""5,000 pods running on simulated nodes: what they take in memory, and LIST of them all."""

from __future__ import annotations

import time
from itertools import repeat

import uvloop

from kubewheel.testing.bench import child, load, objects, processes
from kubewheel.testing.bench.figures import Aim, Figure, percentile
from kubewheel.testing.bench.get import PODS

COUNT, NODES = 5000, 60
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def run() -> list[Figure]:
    with child.served(nodes=NODES, controllers="*", scheduler=True) as server:
        made = load.request("POST", "/apis/apps/v1/namespaces/default/deployments", objects.deployment("web", COUNT))
        uvloop.run(load.all_of(server, [made], connections=1))
        uvloop.run(_wait_ready(server))
        time.sleep(2)
        found = [Figure("control plane, 5,000 simulated pods", processes.rss_mb(server.pid), "MB",
                        note=f"with {NODES} simulated nodes in it")]
        for title, accept in (("JSON", "application/json"), ("Table", TABLE)):
            asked = load.request("GET", PODS, accept=accept)
            cpu = processes.cpu_seconds(server.pid)
            _, seconds = uvloop.run(load.throughput(server, 10, lambda n, a=asked: repeat(a, n), connections=1))  # type: ignore[misc]
            used = (processes.cpu_seconds(server.pid) - cpu) / (len(seconds) + 2) * 1e3
            found.append(Figure(f"LIST 5,000 pods ({title})", used, "ms CPU", p50=percentile(seconds, 50) * 1e3,
                                p99=percentile(seconds, 99) * 1e3, aim=Aim("<", 50), note="server time a request"))
        return found


async def _wait_ready(server: child.Served) -> None:
    import asyncio

    from kubewheel.client.client import Client
    from kubewheel.client.http import Http, load_kubeconfig

    client = Client(Http(load_kubeconfig(server.kubeconfig), user_agent="kubewheel-bench"))
    try:
        async with asyncio.timeout(300):
            while True:
                found = await client.get("deployments.apps", "web", namespace="default")
                if found.get("status", {}).get("readyReplicas") == COUNT:
                    return
                await asyncio.sleep(1)
    finally:
        await client.aclose()
