"""SchedulingGates: a gated pod does not enter the queue."""

from __future__ import annotations

from kubewheel.scheduler.plugins.base import Plugin
from kubewheel.scheduler.podinfo import PodInfo


class SchedulingGates(Plugin):
    name = "SchedulingGates"
    events = frozenset({"Pod/UpdateSchedulingGates"})

    def queue(self, pod: PodInfo) -> str | None:
        if not pod.gates:
            return None
        return f"waiting for scheduling gates: [{' '.join(pod.gates)}]"
