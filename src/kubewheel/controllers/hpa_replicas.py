"""How many replicas a metric asks for. Pure.

In: pods, values per pod, a target. Out: (replicas, what was measured). Called by: horizontalpodautoscaler.
Amounts are in thousandths. Pods that just start count as using nothing when it goes up; pods without values count as
idle when it goes up, and as using what they asked for when it goes down: doubt never makes a change larger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubewheel.api import quantity
from kubewheel.api.resource import Object
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects


class NoMetric(Exception):
    """The number cannot be told; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class Sample:
    value: int
    at: float = 0.0
    window: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    tolerance_up: float = 0.1
    tolerance_down: float = 0.1
    cpu_initialization: float = 300.0
    initial_readiness: float = 30.0

    def is_close(self, ratio: float) -> bool:
        return 1.0 - self.tolerance_down <= ratio <= 1.0 + self.tolerance_up


@dataclass(slots=True)
class Groups:
    ready: int
    unready: set[str]
    missing: set[str]
    ignored: set[str]


def group(pods: Sequence[Object], samples: Mapping[str, Sample], *, cpu: bool, settings: Settings, now: float) -> Groups:
    out = Groups(0, set(), set(), set())
    for pod in pods:
        name = pod["metadata"]["name"]
        if objects.is_terminating(pod) or objects.phase(pod) == "Failed":
            out.ignored.add(name)
        elif objects.phase(pod) == "Pending":
            out.unready.add(name)
        elif name not in samples:
            out.missing.add(name)
        elif cpu and _is_starting(pod, samples[name], settings, now):
            out.unready.add(name)
        else:
            out.ready += 1
    return out


def _is_starting(pod: Object, sample: Sample, settings: Settings, now: float) -> bool:
    condition, start = objects.condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if condition is None or not start:
        return True
    started, changed = clocks.parse_time(start), clocks.parse_time(condition.get("lastTransitionTime") or start)
    if started + settings.cpu_initialization > now:
        return condition["status"] == "False" or sample.at < changed + sample.window
    return condition["status"] == "False" and started + settings.initial_readiness > changed


def requests_of(pods: Sequence[Object], resource: str, container: str = "") -> dict[str, int]:
    """pod -> request, of all containers or one. NoMetric where a container asks for nothing."""
    out = {}
    for pod in pods:
        name, total = pod["metadata"]["name"], 0
        sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
        for one in [*pod["spec"]["containers"], *sidecars]:
            if container and one["name"] != container:
                continue
            request = ((one.get("resources") or {}).get("requests") or {}).get(resource)
            if request is None:
                raise NoMetric(f"missing request for {resource} in container {one['name']} of Pod {name}")
            total += quantity.milli(request)
        out[name] = total
    return out


def by_pods(pods: Sequence[Object], samples: Mapping[str, Sample], *, current: int, target: int,
            requests: Mapping[str, int] | None, cpu: bool, settings: Settings, now: float) -> tuple[int, int, int]:
    """(replicas, utilization in percent or the average, average value). With `requests` the target is a percentage."""
    if not pods:
        raise NoMetric("no pods returned by selector while calculating replica count")
    groups = group(pods, samples, cpu=cpu, settings=settings, now=now)
    values = {n: s.value for n, s in samples.items() if n not in groups.ignored and n not in groups.unready}
    if not values:
        raise NoMetric("did not receive metrics for targeted pods (pods might be unready)")
    ratio, shown = _ratio(values, requests, target)
    average = sum(values.values()) // len(values)
    with_unready = bool(groups.unready) and ratio > 1.0
    if not with_unready and not groups.missing:
        return (current if settings.is_close(ratio) else math.ceil(_near(ratio * groups.ready))), shown, average
    full = dict(values)
    for name in groups.missing:
        if ratio < 1.0:
            full[name] = requests.get(name, 0) * max(100, target) // 100 if requests is not None else target
        elif ratio > 1.0:
            full[name] = 0
    if with_unready:
        full |= dict.fromkeys(groups.unready, 0)
    again, _ = _ratio(full, requests, target)
    if settings.is_close(again) or (ratio < 1.0 < again) or (ratio > 1.0 > again):
        return current, shown, average
    wanted = math.ceil(_near(again * len(full)))
    if (again < 1.0 and wanted > current) or (again > 1.0 and wanted < current):
        return current, shown, average
    return wanted, shown, average


def _ratio(values: Mapping[str, int], requests: Mapping[str, int] | None, target: int) -> tuple[float, int]:
    if requests is None:
        average = sum(values.values()) // len(values)
        return average / target, average
    asked = sum(requests[n] for n in values if n in requests)
    if not asked:
        raise NoMetric("no metrics returned matched known pods")
    used = sum(v for n, v in values.items() if n in requests)
    return (used * 100 // asked) / target, used * 100 // asked


def _near(value: float) -> float:
    """Floats make 3.0000000000000004 of 1.2 * 2.5: that is three pods, not four."""
    return round(value, 9)


def by_value(value: int, *, current: int, ready: int, target: int, average: bool, settings: Settings) -> int:
    """One number for all (Object and External metrics): against the target, or the target for each replica."""
    if average:
        ratio = value / (target * current) if current else math.inf
        return current if settings.is_close(ratio) else math.ceil(_near(value / target))
    ratio = value / target
    if current == 0:
        return math.ceil(_near(ratio))
    return current if settings.is_close(ratio) else math.ceil(_near(ratio * ready))
