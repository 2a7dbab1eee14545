"""Counters, gauges and histograms in the Prometheus text format. Hot: a dict look-up and an addition.

In: observations. Out: text. Called by: every component; `/metrics` renders REGISTRY.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Callable, Mapping

Labels = tuple[str, ...]
DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Whole numbers as such: 1.7e+09 is too coarse for a time or a size."""
    return str(int(value)) if abs(value) < 2**63 and value == int(value) else repr(value)


def _pairs(names: Labels, values: Labels, *more: tuple[str, str]) -> str:
    parts = [f'{n}="{_escape(v)}"' for n, v in [*zip(names, values, strict=True), *more]]
    return "{" + ",".join(parts) + "}" if parts else ""


class Metric(ABC):
    kind = "untyped"

    def __init__(self, name: str, help: str, labels: Labels) -> None:
        self.name, self.help, self.labels = name, help, labels

    @abstractmethod
    def lines(self) -> list[str]:
        """The samples, without the HELP and TYPE lines."""

    def render(self) -> str:
        return "\n".join([f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}", *self.lines()])


class Counter(Metric):
    kind = "counter"

    def __init__(self, name: str, help: str, labels: Labels) -> None:
        super().__init__(name, help, labels)
        self.values: dict[Labels, float] = {}

    def inc(self, *labels: str, by: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + by

    def lines(self) -> list[str]:
        return [f"{self.name}{_pairs(self.labels, k)} {_number(v)}" for k, v in sorted(self.values.items())]


class Gauge(Counter):
    kind = "gauge"

    def set(self, value: float, *labels: str) -> None:
        self.values[labels] = value


class GaugeFunction(Metric):
    """Asked only when rendered."""

    kind = "gauge"

    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        super().__init__(name, help, ())
        self._read = read

    def lines(self) -> list[str]:
        return [f"{self.name} {_number(self._read())}"]


class Samples(Metric):
    """Read from what is there already, only when rendered: {label values: value}."""

    def __init__(self, name: str, help: str, labels: Labels, read: Callable[[], Mapping[Labels, float]], kind: str) -> None:
        super().__init__(name, help, labels)
        self.kind = kind
        self._read = read

    def lines(self) -> list[str]:
        return [f"{self.name}{_pairs(self.labels, k)} {_number(v)}" for k, v in sorted(self._read().items())]


class Histogram(Metric):
    kind = "histogram"

    def __init__(self, name: str, help: str, labels: Labels, buckets: tuple[float, ...]) -> None:
        super().__init__(name, help, labels)
        self.buckets = buckets
        self.values: dict[Labels, list[float]] = {}  # counts per bucket, +Inf, sum

    def observe(self, value: float, *labels: str) -> None:
        row = self.values.get(labels)
        if row is None:
            row = self.values[labels] = [0.0] * (len(self.buckets) + 2)
        row[bisect_left(self.buckets, value)] += 1
        row[-1] += value

    def lines(self) -> list[str]:
        out = []
        for key, row in sorted(self.values.items()):
            total = 0.0
            for bound, count in zip((*map(str, self.buckets), "+Inf"), row[:-1], strict=True):
                total += count
                out.append(f"{self.name}_bucket{_pairs(self.labels, key, ('le', bound))} {_number(total)}")
            out.append(f"{self.name}_sum{_pairs(self.labels, key)} {_number(row[-1])}")
            out.append(f"{self.name}_count{_pairs(self.labels, key)} {_number(total)}")
        return out


class Registry:
    """Metrics by name; asking again for a name gives the same metric."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        return self._metrics.setdefault(name, Counter(name, help, labels))  # type: ignore[return-value]

    def gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return self._metrics.setdefault(name, Gauge(name, help, labels))  # type: ignore[return-value]

    def gauge_function(self, name: str, help: str, read: Callable[[], float]) -> None:
        self._metrics[name] = GaugeFunction(name, help, read)

    def samples(self, name: str, help: str, labels: Labels, read: Callable[[], Mapping[Labels, float]], *,
                kind: str = "gauge") -> None:
        """Asking again for a name puts the new reader in the place of the old."""
        self._metrics[name] = Samples(name, help, labels, read, kind)

    def histogram(self, name: str, help: str, *labels: str, buckets: tuple[float, ...] = DEFAULT_BUCKETS) -> Histogram:
        return self._metrics.setdefault(name, Histogram(name, help, labels, buckets))  # type: ignore[return-value]

    def stabilities(self) -> dict[str, int]:
        """How many metrics there are of each level that their help begins with: "[ALPHA] …"."""
        return dict(Counted(m.help[1:m.help.index("]")] for m in self._metrics.values() if m.help.startswith("[")))

    def render(self) -> str:
        return "\n".join(m.render() for m in self._metrics.values()) + "\n"


REGISTRY = Registry()
