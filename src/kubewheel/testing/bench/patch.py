"""PATCH (merge patch of an annotation), each connection's turn on another pod."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import uvloop

from kubewheel.testing.bench import child, load, objects
from kubewheel.testing.bench.figures import Figure
from kubewheel.testing.bench.get import PODS

PODS_THERE = 100  # more than connections, so that no two patch the same pod at once


def one(number: int) -> bytes:
    return load.request("PATCH", f"{PODS}/p{number % PODS_THERE}", {"metadata": {"annotations": {"n": str(number)}}},
                        content_type="application/merge-patch+json")


def run() -> list[Figure]:
    numbers = count()

    def make(n: int) -> Iterator[bytes]:
        return iter([one(next(numbers)) for _ in range(n)])

    with child.served() as server:
        uvloop.run(load.all_of(server, [load.request("POST", PODS, objects.pod(f"p{n}")) for n in range(PODS_THERE)]))
        return load.at_each_width("PATCH pod (memory)", server, 900, make)
