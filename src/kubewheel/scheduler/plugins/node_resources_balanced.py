"""NodeResourcesBalancedAllocation: prefers nodes on which cpu and memory would be used alike."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins.base import MAX_SCORE, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table


class NodeResourcesBalancedAllocation(Plugin):
    name = "NodeResourcesBalancedAllocation"
    is_local = True

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        self._resources = [r["name"] for r in self.args.get("resources") or ({"name": "cpu"}, {"name": "memory"})]

    def applies(self, pod: PodInfo, table: Table) -> bool:
        asked = dict(pod.shape.requests)
        return any(r in asked for r in self._resources)  # a best-effort pod would unbalance nothing

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        asked = dict(pod.shape.requests)
        fractions = []
        for resource in self._resources:
            column = table.resources.get(resource)
            if column is None or (resource not in asked and resource not in ("cpu", "memory")):
                continue
            capacity = table.alloc[rows, column]
            used = table.used[rows, column] + asked.get(resource, 0)
            fractions.append(np.minimum(np.where(capacity > 0, used / np.maximum(capacity, 1), 0.0), 1.0))
        if len(fractions) < 2:
            return None
        if len(fractions) == 2:
            deviation = np.abs(fractions[0] - fractions[1]) / 2
        else:
            deviation = np.std(np.stack(fractions), axis=0)
        return np.floor((1 - deviation) * MAX_SCORE)
