"""InterPodAffinity: pods near to or far from other pods, by topology domain; both what the pod wants and what pods
already there want of it.

Equal terms of existing pods are counted together (Table.terms), so thousands of replicas are one term to match.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kubewheel.scheduler.plugins.base import MAX_SCORE, Codes, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo, PodTerm
from kubewheel.scheduler.table import Rows, Table

EXISTING_ANTI, OWN_ANTI, OWN_AFFINITY = 1, 2, 3
WORDS = {EXISTING_ANTI: "node(s) didn't satisfy existing pods anti-affinity rules",
         OWN_ANTI: "node(s) didn't match pod anti-affinity rules",
         OWN_AFFINITY: "node(s) didn't match pod affinity rules"}


class InterPodAffinity(Plugin):
    name = "InterPodAffinity"
    events = frozenset({"AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/UpdateLabel", "Node/Add",
                        "Node/UpdateLabel", "Namespace/Update"})

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        self._hard_weight = int(self.args.get("hardPodAffinityWeight", 1))
        self._ignore_existing = bool(self.args.get("ignorePreferredTermsOfExistingPods", False))

    def applies(self, pod: PodInfo, table: Table) -> bool:
        shape = pod.shape
        return bool(shape.affinity or shape.anti_affinity or shape.preferred_pods or table.terms)

    # -- filter -------------------------------------------------------------------------------------------------
    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        codes = np.zeros(table.size, np.int64)
        self._own_affinity(pod, table, codes)
        for term in pod.shape.anti_affinity:
            per_node = _in_domain(table, term.topology_key, _counts(table, (term,)))
            codes[(codes == 0) & (per_node > 0)] = OWN_ANTI
        mine = table.namespaces.get(pod.namespace, {})
        for entry in table.terms.values():
            if entry.kind == "anti" and entry.term.matches(pod.namespace, pod.labels, mine):
                per_node = _in_domain(table, entry.term.topology_key, _spread_out(table, entry.rows))
                codes[(codes == 0) & (per_node > 0)] = EXISTING_ANTI
        return codes[rows]

    def _own_affinity(self, pod: PodInfo, table: Table, codes: Codes) -> None:
        terms = pod.shape.affinity
        if not terms:
            return
        counts = _counts(table, terms)
        fits = np.ones(table.size, bool)
        labelled = np.ones(table.size, bool)
        anywhere = False
        for term in terms:
            labelled &= table.label(term.topology_key) >= 0
            per_node = _in_domain(table, term.topology_key, counts)
            anywhere = anywhere or bool((per_node > 0).any())
            fits &= per_node > 0
        if not anywhere:  # the first of a group that wants to be together may go anywhere
            mine = table.namespaces.get(pod.namespace, {})
            if all(t.matches(pod.namespace, pod.labels, mine) for t in terms):
                fits = labelled
        codes[~(fits & labelled)] = OWN_AFFINITY

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return (WORDS[code],)

    def is_unresolvable(self, code: int) -> bool:
        return code == OWN_AFFINITY

    # -- score --------------------------------------------------------------------------------------------------
    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        total = np.zeros(table.size)
        said = False
        for term in pod.shape.preferred_pods:
            said = True
            total += term.weight * _in_domain(table, term.topology_key, _counts(table, (term,)))
        if self._ignore_existing and not pod.shape.preferred_pods:
            return None
        mine = table.namespaces.get(pod.namespace, {})
        for entry in table.terms.values():
            weight = entry.term.weight if entry.kind == "preferred" else self._hard_weight
            if entry.kind == "anti" or not weight or not entry.term.matches(pod.namespace, pod.labels, mine):
                continue
            said = True
            total += weight * _in_domain(table, entry.term.topology_key, _spread_out(table, entry.rows))
        return total[rows] if said else None

    def normalize(self, scores: Scores) -> Scores:
        low, high = scores.min(), scores.max()
        return np.floor(MAX_SCORE * (scores - low) / (high - low)) if high > low else np.zeros_like(scores)


def _counts(table: Table, terms: tuple[PodTerm, ...]) -> npt.NDArray[np.int64]:
    """Per node, the pods that match all of the terms."""
    spaces = table.namespaces

    def matches(namespace: str, labels: Mapping[str, str], terminating: bool) -> bool:
        return all(t.matches(namespace, labels, spaces.get(namespace, {})) for t in terms)

    return table.counter(("affinity", *((t.namespaces, t.namespace_selector, t.selector) for t in terms)),
                         matches).counts[: table.size]


def _spread_out(table: Table, rows: Mapping[int, int]) -> npt.NDArray[np.int64]:
    out = np.zeros(table.size, np.int64)
    out[list(rows)] = list(rows.values())
    return out


def _in_domain(table: Table, key: str, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Per node, the sum over its domain; 0 for nodes without the label."""
    column = table.label(key)
    known = column >= 0
    sums = np.bincount(column[known], weights=counts[known], minlength=max(len(table.values[key]), 1))
    return np.where(known, sums[np.maximum(column, 0)], 0.0)
