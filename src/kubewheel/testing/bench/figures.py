"""One measured number, and how many of them are printed and kept.

In: figures out of the benchmarks. Out: an aligned table, a JSON file. Pure but for the file.
Called by: __main__.py.
"""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """What we want to reach: at least (">=") or at most ("<") so much."""

    sign: str
    value: float

    def is_met(self, value: float) -> bool:
        return value >= self.value if self.sign == ">=" else value < self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is the median of the repetitions; p50 and p99 (milliseconds) are of single requests."""

    name: str
    value: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    aim: Aim | None = None
    note: str = ""

    def verdict(self) -> str:
        return "" if self.aim is None else "yes" if self.aim.is_met(self.value) else "no"


def number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


median = statistics.median

HEAD = ("benchmark", "median", "unit", "p50 ms", "p99 ms", "aim", "met", "note")


def table(figures: Sequence[Figure]) -> str:
    rows = [HEAD, *(
        (f.name, number(f.value), f.unit, number(f.p50), number(f.p99),
         f"{f.aim.sign} {number(f.aim.value)}" if f.aim else "", f.verdict(), f.note) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    right = {1, 3, 4}
    return "\n".join("  ".join(cell.rjust(width) if column in right else cell.ljust(width)
                               for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in rows)


def as_json(figures: Sequence[Figure], *, stamp: str) -> dict[str, Any]:
    return {"time": stamp, "python": platform.python_version(), "machine": platform.machine(),
            "figures": [{**asdict(f), "met": f.aim.is_met(f.value) if f.aim else None} for f in figures]}


def write(path: Path, figures: Sequence[Figure], *, stamp: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(figures, stamp=stamp), indent=2) + "\n")
