"""`python -m kubewheel.testing.bench [name …] [--json FILE]`: runs benchmarks, prints the table, writes JSON."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from kubewheel.lib import clock as clocks
from kubewheel.testing import bench
from kubewheel.testing.bench import figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="kw bench", description="Measures kubewheel on this machine.")
    parser.add_argument("names", nargs="*", metavar="name", help="which ones, or a group of them (default: all but `up`)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: bench-results/<time>.json")
    parser.add_argument("--list", action="store_true", help="name them and end")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{one.name:12} {one.about}" for one in bench.BENCHMARKS))
        print("\n".join(f"{name:12} all of: {', '.join(members)}" for name, members in bench.GROUPS.items()))
        return 0
    try:
        chosen = bench.chosen(options.names)
    except ValueError as e:
        parser.error(str(e))
    found: list[figures.Figure] = []
    failed: list[str] = []
    for one in chosen:
        began = time.perf_counter()
        print(f"{one.name}: {one.about}", file=sys.stderr, flush=True)
        try:
            found += one.load()()
        except Exception:  # noqa: BLE001 - the edge: the others are measured and told all the same
            traceback.print_exc()
            failed.append(one.name)
        print(f"{one.name}: took {time.perf_counter() - began:.1f}s", file=sys.stderr, flush=True)
    stamp = clocks.rfc3339(clocks.RealClock().now())
    path = options.json or Path("bench-results") / f"{stamp.replace(':', '')}.json"
    figures.write(path, found, stamp=stamp)
    print(figures.table(found))
    print(f"\nwritten to {path}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
