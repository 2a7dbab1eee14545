"""The cluster fixture: from nothing to the first answered call, in a process that has made one before."""

from __future__ import annotations

import time

from kubewheel.testing.bench import child
from kubewheel.testing.bench.figures import Aim, Figure, median


async def inside(times: int) -> list[float]:
    from kubewheel.testing import cluster

    took = []
    for _ in range(times):
        began = time.perf_counter()
        async with cluster(nodes=1) as made:
            await made.client.list("nodes")
            took.append(time.perf_counter() - began)
    return took


def run() -> list[Figure]:
    first, *warm = child.measured(__name__, times=8)
    return [Figure("fixture start", median(warm) * 1e3, "ms", aim=Aim("<", 300)),
            Figure("fixture start, first of a process", first * 1e3, "ms", note="imports, keys")]
