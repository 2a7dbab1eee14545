"""How fast, how big: small benchmarks, each a file, listed here in the order they run.

In: names. Out: Figures. Called by: `./kw bench [name …] [--json FILE]` (python -m kubewheel.testing.bench).

Servers and clusters under measurement are processes of their own (child.py), so that the load generator (load.py)
does not share their core, and memory is theirs alone. How to read the figures: docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from kubewheel.testing.bench.figures import Figure


class Benchmark(NamedTuple):
    name: str
    about: str
    by_default: bool = True  # else only when named

    def load(self) -> Callable[[], list[Figure]]:
        """`run` of the file of that name; imported late, so that --list costs nothing."""
        return import_module(f"{__name__}.{self.name}").run


BENCHMARKS = (
    Benchmark("fixture", "a cluster inside a test: time to the first call"),
    Benchmark("memory", "resident memory of an idle control plane"),
    Benchmark("get", "GET of a pod over HTTPS at 1, 8 and 32 connections"),
    Benchmark("create", "CREATE of pods over HTTPS, store in memory and SQLite"),
    Benchmark("patch", "PATCH of pods over HTTPS"),
    Benchmark("apply", "server-side apply of a 3 KB Deployment over HTTPS, store in memory and SQLite"),
    Benchmark("custom", "CREATE of custom resources over HTTPS, with CEL rules and without"),
    Benchmark("fanout", "100 watchers, 100 updates a second: delivery latency, CPU"),
    Benchmark("pods5000", "5,000 simulated pods: LIST as JSON and Table, memory"),
    Benchmark("protobuf", "the codec; GET, CREATE and LIST of 5,000 pods in protobuf"),
    Benchmark("decisions", "scheduling decisions a second, no server"),
    Benchmark("scheduling", "pods bound a second on 1,000 and 5,000 simulated nodes"),
    Benchmark("deployment", "a Deployment of 1,000 replicas, to created and to Running"),
    Benchmark("up", "a real cluster on this host (root): up, first pod, 30 pods, memory", by_default=False),
)
