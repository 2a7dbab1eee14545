"""How fast nodes that do not answer may be tainted for eviction, zone by zone. Pure.

In: Node dicts, loop times. Out: zone states, seconds to wait. Called by: node_lifecycle.
Many nodes of one zone silent at once are more likely a broken zone (or a broken network of ours) than broken nodes:
then pods are sent away slowly or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubewheel.api.resource import Object
from kubewheel.reconcile import objects

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"


@dataclass(frozen=True, slots=True)
class Rates:
    """Upstream's flags of the same names; nodes per second."""

    normal: float = 0.1  # --node-eviction-rate
    secondary: float = 0.01  # --secondary-node-eviction-rate
    large: int = 50  # --large-cluster-size-threshold
    unhealthy: float = 0.55  # --unhealthy-zone-threshold


def zone_of(node: Object) -> str:
    labels = objects.labels_of(node)
    region, zone = labels.get(REGION, ""), labels.get(ZONE, "")
    return f"{region}:\x00:{zone}" if region or zone else ""


def is_ready(node: Object) -> bool:
    return objects.condition_status(node, "Ready") == "True"


def state_of(nodes: Sequence[Object], rates: Rates) -> str:
    """The state of the zone these nodes make up."""
    ready = sum(1 for n in nodes if is_ready(n))
    silent = len(nodes) - ready
    if silent and not ready:
        return FULL
    if silent > 2 and silent / len(nodes) >= rates.unhealthy:
        return PARTIAL
    return NORMAL


def rate_of(nodes: Sequence[Object], rates: Rates) -> float:
    """Nodes per second that may be tainted; 0.0: none. A zone fully gone (while others are there) is emptied at the
    normal rate: its pods are needed elsewhere."""
    if state_of(nodes, rates) == PARTIAL:
        return rates.secondary if len(nodes) > rates.large else 0.0
    return rates.normal


@dataclass(slots=True)
class Limiter:
    """One node per 1/rate seconds and zone; the first at once."""

    _last: dict[str, float] = field(default_factory=dict)  # zone -> loop time of the last token

    def take(self, zone: str, rate: float, now: float) -> float:
        """0.0: go on (a token is taken); else seconds to wait."""
        if rate <= 0:
            return 10.0  # the zone's state may change: look again
        last = self._last.get(zone)
        if last is not None and now < last + 1 / rate:
            return last + 1 / rate - now
        self._last[zone] = now
        return 0.0
