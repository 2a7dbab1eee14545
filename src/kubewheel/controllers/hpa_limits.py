"""How fast an autoscaler may move: stabilization windows and scaling policies (spec.behavior). Pure.

In: the wanted size, remembered recommendations and scalings. Out: the allowed size and the conditions that tell why.
Called by: horizontalpodautoscaler.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api.resource import Object

UP: Object = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]}
DOWN: Object = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


@dataclass(slots=True)
class Memory:
    """Of one autoscaler; times are the loop's."""

    recommended: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)  # (when, by how many)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def scaled(self, now: float, change: int) -> None:
        (self.ups if change > 0 else self.downs).append((now, abs(change)))
        for events in (self.ups, self.downs):
            events[:] = [e for e in events if now - e[0] <= 3600]


@dataclass(frozen=True, slots=True)
class Limited:
    replicas: int
    able: tuple[str, str]  # reason, message of AbleToScale
    limited: tuple[str, str, str]  # status, reason, message of ScalingLimited


def rules_of(behavior: Object | None, direction: str) -> Object:
    given = {k: v for k, v in ((behavior or {}).get(direction) or {}).items() if v is not None}
    return {**(UP if direction == "scaleUp" else DOWN), **given}


def stabilized(memory: Memory, current: int, desired: int, *, up: float, down: float, now: float) -> int:
    """Between the lowest recommendation of the up window and the highest of the down window."""
    low = min([desired, *(r for at, r in memory.recommended if now - at < up)])
    high = max([desired, *(r for at, r in memory.recommended if now - at < down)])
    keep = max(up, down)
    memory.recommended = [(at, r) for at, r in memory.recommended if now - at < keep] + [(now, desired)]
    return min(max(current, low), high)


def _changed(events: Iterable[tuple[float, int]], period: float, now: float) -> int:
    return sum(n for at, n in events if now - at < period)


def furthest(rules: Object, memory: Memory, current: int, now: float, *, up: bool) -> int:
    """The size the policies let it reach in this direction."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    reach = []
    for policy in rules["policies"]:
        period = policy["periodSeconds"]
        start = current - _changed(memory.ups, period, now) + _changed(memory.downs, period, now)
        value = policy["value"]
        if policy["type"] == "Pods":
            reach.append(start + value if up else start - value)
        else:
            reach.append(math.ceil(start * (100 + value) / 100) if up else int(start * (100 - value) / 100))
    most = rules.get("selectPolicy", "Max") != "Min"
    best = max(reach) if most == up else min(reach)
    return max(best, current) if up else min(best, current)


def limit(spec: Object, memory: Memory, current: int, desired: int, *, down_window: float, now: float) -> Limited:
    behavior: Any = spec.get("behavior")
    up, down = rules_of(behavior, "scaleUp"), rules_of(behavior, "scaleDown")
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    calm = stabilized(memory, current, desired, up=up["stabilizationWindowSeconds"],
                      down=down.get("stabilizationWindowSeconds", down_window), now=now)
    able = "ReadyForNewScale", "recommended size matches current size"
    if calm < current or calm > desired:
        able = "ScaleDownStabilized", ("recent recommendations were higher than current one, applying the highest "
                                       "recent recommendation")
    if calm < desired:
        able = "ScaleUpStabilized", ("recent recommendations were lower than current one, applying the lowest "
                                     "recent recommendation")
    if calm == desired:
        able = "ReadyForNewScale", "recommended size matches current size"
    replicas, why = _bounded(calm, least, most, current, _reaches(up, down, memory, current, now))
    return Limited(replicas, able, why)


def _reaches(up: Object, down: Object, memory: Memory, current: int, now: float) -> tuple[int, int]:
    return furthest(down, memory, current, now, up=False), furthest(up, memory, current, now, up=True)


def _bounded(wanted: int, least: int, most: int, current: int, reach: Sequence[int]) -> tuple[int, tuple[str, str, str]]:
    lowest, highest = max(least, reach[0]), min(most, reach[1])
    if wanted > current and wanted > highest:
        if most > reach[1]:
            return highest, ("True", "ScaleUpLimit",
                             "the desired replica count is increasing faster than the maximum scale rate")
        return highest, ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    if wanted < current and wanted < lowest:
        if least < reach[0]:
            return lowest, ("True", "ScaleDownLimit",
                            "the desired replica count is decreasing faster than the maximum scale rate")
        return lowest, ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    if wanted > most:
        return most, ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    if wanted < least:
        return least, ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    return wanted, ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
