"""PodTopologySpread: keeps the pods of one selector evenly over domains (zones, hosts …).

Per constraint: a Counter gives matching pods per node, a label column the domains, and one bincount both together.
Pods without constraints get the system's defaults: ScheduleAnyway over hosts (maxSkew 3) and zones (maxSkew 5),
counting the pods of the same Service and of the same ReplicaSet, StatefulSet or ReplicationController.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kubewheel.scheduler import match
from kubewheel.scheduler.match import Selector, first_untolerated
from kubewheel.scheduler.plugins.base import MAX_SCORE, Codes, Plugin, Scores
from kubewheel.scheduler.plugins.node_affinity import selected, wants_nodes
from kubewheel.scheduler.podinfo import HOSTNAME, ZONE, PodInfo, Spread
from kubewheel.scheduler.table import Rows, Table

OWNERS = {"ReplicaSet": "replicasets.apps", "StatefulSet": "statefulsets.apps",
          "ReplicationController": "replicationcontrollers"}


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    events = frozenset({"AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/UpdateLabel", "Node/Add", "Node/Delete",
                        "Node/UpdateLabel", "Node/UpdateTaint"})

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        self._system = self.args.get("defaultingType", "System") == "System"
        self._defaults: list[tuple[str, int, bool]] = [(HOSTNAME, 3, False), (ZONE, 5, False)] if self._system else [
            (c["topologyKey"], c.get("maxSkew", 1), c.get("whenUnsatisfiable") == "DoNotSchedule")
            for c in self.args.get("defaultConstraints") or ()]

    def _constraints(self, pod: PodInfo, *, hard: bool) -> tuple[tuple[Spread, ...], bool]:
        """The constraints of that kind, and whether they are the system's defaults."""
        if pod.shape.spread:
            return tuple(c for c in pod.shape.spread if c.hard is hard), False
        if not any(h is hard for _, _, h in self._defaults):
            return (), False
        selector = self._default_selector(pod)
        if selector is None:
            return (), False
        return tuple(Spread(k, skew, h, selector) for k, skew, h in self._defaults if h is hard), self._system

    def _default_selector(self, pod: PodInfo) -> Selector | None:
        parts: list[match.Requirement] = []
        for service in self.handle.objects.list("services", pod.namespace):
            if wanted := (service.get("spec") or {}).get("selector"):
                selector = match.labels_selector(wanted)
                if selector.matches(pod.labels):
                    parts += selector.requirements
        owner = next((r for r in pod.obj["metadata"].get("ownerReferences") or () if r.get("controller")), None)
        if owner is not None and owner["kind"] in OWNERS:
            parent = self.handle.objects.get(OWNERS[owner["kind"]], pod.namespace, owner["name"])
            json = ((parent or {}).get("spec") or {}).get("selector")
            if json:
                plain = owner["kind"] == "ReplicationController"
                parts += (match.labels_selector(json) if plain else match.selector(json)).requirements
        return Selector(tuple(dict.fromkeys(parts))) if parts else None

    def _counts(self, pod: PodInfo, table: Table, constraint: Spread) -> npt.NDArray[np.int64]:
        namespace, selector = pod.namespace, constraint.selector

        def matches(ns: str, labels: Mapping[str, str], terminating: bool) -> bool:
            return ns == namespace and not terminating and selector.matches(labels)

        return table.counter(("spread", namespace, selector), matches).counts[: table.size]

    @staticmethod
    def _eligible(pod: PodInfo, table: Table, constraint: Spread) -> npt.NDArray[np.bool_]:
        mask = table.alive
        if constraint.honor_affinity and wants_nodes(pod):
            mask = mask & selected(pod, table, table.all_rows())
        if constraint.honor_taints and len(table.taint_sets) > 1:
            good = np.array([first_untolerated(s, pod.shape.tolerations, ("NoSchedule", "NoExecute")) is None
                             for s in table.taint_sets])
            mask = mask & good[table.taints]
        return mask

    # -- filter -------------------------------------------------------------------------------------------------
    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        constraints, _ = self._constraints(pod, hard=True)
        if not constraints:
            return None
        codes = np.zeros(table.size, np.int64)
        columns = [table.label(c.topology_key) for c in constraints]
        have_all = np.logical_and.reduce([column >= 0 for column in columns])
        for constraint, column in zip(constraints, columns, strict=True):
            eligible = self._eligible(pod, table, constraint) & have_all
            domains = len(table.values[constraint.topology_key])
            sums = np.zeros(max(domains, 1), np.int64)
            counts = self._counts(pod, table, constraint)
            np.add.at(sums, column[eligible], counts[eligible])
            present = np.zeros(max(domains, 1), bool)
            present[column[eligible]] = True
            least = int(sums[present].min()) if present.any() else 0
            if int(present.sum()) < constraint.min_domains:
                least = 0
            itself = int(constraint.selector.matches(pod.labels))
            skew = sums[np.maximum(column, 0)] + itself - least
            codes[(codes == 0) & (column >= 0) & (skew > constraint.max_skew)] = 1
            codes[(codes == 0) & (column < 0)] = 2
        return codes[rows]

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        text = "node(s) didn't match pod topology spread constraints"
        return (text + " (missing required label)" if code == 2 else text,)

    def is_unresolvable(self, code: int) -> bool:
        return code == 2

    # -- score --------------------------------------------------------------------------------------------------
    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        """Lower is better until `normalize`; -1 marks nodes that lack a topology label."""
        constraints, system = self._constraints(pod, hard=False)
        if not constraints:
            return None
        total, lacking = np.zeros(len(rows)), np.zeros(len(rows), bool)
        for constraint in constraints:
            column = table.label(constraint.topology_key)
            here = column[rows]
            counts = self._counts(pod, table, constraint)
            if constraint.topology_key == HOSTNAME:
                domains, per_node = len(rows), counts[rows].astype(np.float64)
            else:
                domains, per_node = self._per_domain(pod, table, constraint, column, here, counts)
            if domains:
                total += np.where(here >= 0, per_node * np.log(domains + 2) + (constraint.max_skew - 1), 0.0)
            if not system:
                lacking |= here < 0
        total = np.round(total)
        total[lacking] = -1
        return total

    def _per_domain(
        self, pod: PodInfo, table: Table, constraint: Spread, column: npt.NDArray[np.int32],
        here: npt.NDArray[np.int32], counts: npt.NDArray[np.int64],
    ) -> tuple[int, Scores]:
        known = here[here >= 0]
        if not len(known):
            return 0, np.zeros(len(here))
        eligible = self._eligible(pod, table, constraint) & (column >= 0)
        size = len(table.values[constraint.topology_key])
        sums = np.bincount(column[eligible], weights=counts[eligible], minlength=size)
        domains = int(np.count_nonzero(np.bincount(known)))
        return domains, sums[np.maximum(here, 0)].astype(np.float64)

    def normalize(self, scores: Scores) -> Scores:
        real = scores >= 0
        if not real.any():
            return np.zeros_like(scores)
        low, high = scores[real].min(), scores[real].max()
        if high == 0:
            return np.where(real, MAX_SCORE, 0.0)
        return np.where(real, np.floor(MAX_SCORE * (high + low - scores) / high), 0.0)
