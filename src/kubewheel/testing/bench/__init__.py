"""How fast, how big: small benchmarks, each a file, listed here in the order they run.

In: names. Out: Figures. Called by: `./kw bench [name …] [--json FILE]` (python -m kubewheel.testing.bench).

Servers and clusters under measurement are processes of their own (child.py), so that the load generator (load.py)
does not share their core, and memory is theirs alone. How to read the figures: docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    Benchmark("catchup", "a watch that resumes 50,000 events back: time to the last of them, server CPU"),
    Benchmark("watches", "1,000 idle watches over TLS: memory, CPU"),
    Benchmark("pods5000", "5,000 simulated pods: LIST as JSON and Table, memory"),
    Benchmark("protobuf", "the codec; GET, CREATE and LIST of 5,000 pods in protobuf"),
    Benchmark("decisions", "scheduling decisions a second, no server"),
    Benchmark("scheduling", "pods bound a second on 1,000 and 5,000 simulated nodes"),
    Benchmark("deployment", "a Deployment of 1,000 replicas, to created and to Running"),
    Benchmark("up", "a real cluster on this host (root): up, first pod, 30 pods, memory", by_default=False),
)
# Names for several: what the API server does by itself; some minutes.
GROUPS = {"api": ("memory", "get", "create", "patch", "apply", "custom", "protobuf", "fanout", "catchup", "watches")}


def chosen(names: Sequence[str]) -> list[Benchmark]:
    """Those of the names, a group's members in its place, none twice; all that run by default for none.
    ValueError with the names that there are."""
    if not names:
        return [one for one in BENCHMARKS if one.by_default]
    known = {one.name: one for one in BENCHMARKS}
    wanted = dict.fromkeys(member for name in names for member in GROUPS.get(name, (name,)))
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join([*known, *GROUPS])}")
    return [known[name] for name in wanted]
