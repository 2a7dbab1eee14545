"""NodeResourcesFit: requests fit into what is allocatable and not yet asked for; scored by a strategy."""

from __future__ import annotations

from typing import Any

import numpy as np

from kubewheel.scheduler.plugins.base import MAX_SCORE, Codes, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

DEFAULT_RESOURCES: tuple[dict[str, Any], ...] = ({"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1})


class NodeResourcesFit(Plugin):
    name = "NodeResourcesFit"
    is_local = True
    events = frozenset({"Node/Add", "Node/UpdateAllocatable", "AssignedPod/Delete", "AssignedPod/ScaleDown"})

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        strategy = self.args.get("scoringStrategy") or {}
        self._strategy = strategy.get("type", "LeastAllocated")
        self._resources: list[tuple[str, int]] = [
            (r["name"], r.get("weight", 1)) for r in strategy.get("resources") or DEFAULT_RESOURCES]
        shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
        self._x = [float(p["utilization"]) for p in shape]
        self._y = [float(p["score"]) * MAX_SCORE / 10 for p in shape]
        self._ignored = set(self.args.get("ignoredResources") or ())
        self._ignored_groups = set(self.args.get("ignoredResourceGroups") or ())
        if self._strategy not in ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"):
            raise ValueError(f"NodeResourcesFit: scoringStrategy.type {self._strategy!r} is not known")
        if self._strategy == "RequestedToCapacityRatio" and not self._x:
            raise ValueError("NodeResourcesFit: requestedToCapacityRatio.shape is required")

    def _is_ignored(self, resource: str) -> bool:
        return resource in self._ignored or resource.partition("/")[0] in self._ignored_groups

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        """A bit for each of the pod's resources (in the order of its requests) that does not fit."""
        codes = np.zeros(len(rows), np.int64)
        for bit, (resource, wanted) in enumerate(pod.shape.requests):
            if self._is_ignored(resource):
                continue
            column = table.resources.get(resource)
            if column is None:
                codes |= 1 << bit
                continue
            codes |= (table.used[rows, column] + wanted > table.alloc[rows, column]).astype(np.int64) << bit
        return codes

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        short = [r for bit, (r, _) in enumerate(pod.shape.requests) if code >> bit & 1]
        return tuple("Too many pods" if r == "pods" else f"Insufficient {r}" for r in short)

    def is_unresolvable(self, code: int) -> bool:
        return False

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        requests = dict(pod.shape.requests)
        total, weights = np.zeros(len(rows)), np.zeros(len(rows))
        for resource, weight in self._resources:
            column = table.resources.get(resource)
            if column is None:
                continue
            capacity = table.alloc[rows, column]
            if resource in ("cpu", "memory"):
                at = 0 if resource == "cpu" else 1
                asked = table.nonzero[rows, at] + pod.shape.nonzero[at]
            elif resource in requests:
                asked = table.used[rows, column] + requests[resource]
            else:
                continue  # upstream: extended resources count only for pods that ask for them
            counts = capacity > 0
            total += np.where(counts, weight * self._of(asked, np.maximum(capacity, 1)), 0)
            weights += weight * counts
        return np.floor(total / np.maximum(weights, 1))

    def _of(self, asked: Codes, capacity: Codes) -> Scores:
        if self._strategy == "LeastAllocated":
            return np.where(asked > capacity, 0, (capacity - asked) * 100 // capacity).astype(np.float64)
        if self._strategy == "MostAllocated":
            return (np.minimum(asked, capacity) * 100 // capacity).astype(np.float64)
        used = np.where(asked > capacity, 100.0, asked * 100.0 / capacity)
        return np.round(np.interp(used, self._x, self._y))
