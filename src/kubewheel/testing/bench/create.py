"""CREATE of pods: defaults, admission, validation and a durable write each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from kubewheel.testing.bench import child, load, objects
from kubewheel.testing.bench.figures import Figure
from kubewheel.testing.bench.get import PODS


def run() -> list[Figure]:
    found = []
    for store in ("memory", "sqlite"):
        numbers = count()

        def make(n: int, numbers: Iterator[int] = numbers) -> Iterator[bytes]:
            return iter([load.request("POST", PODS, objects.pod(f"p{next(numbers)}")) for _ in range(n)])

        with child.served(store=store) as server:
            found += load.at_each_width(f"CREATE pod ({store})", server, 900, make)
    return found
