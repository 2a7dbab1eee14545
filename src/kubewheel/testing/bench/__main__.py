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
    parser.add_argument("names", nargs="*", metavar="name", help="which ones (default: all but `up`)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: bench-results/<time>.json")
    parser.add_argument("--list", action="store_true", help="name them and end")
    options = parser.parse_args()
    known = {one.name: one for one in bench.BENCHMARKS}
    if options.list:
        print("\n".join(f"{one.name:12} {one.about}" for one in bench.BENCHMARKS))
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(known)}")
    chosen = [known[name] for name in options.names] or [one for one in bench.BENCHMARKS if one.by_default]
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
