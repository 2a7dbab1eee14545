"""NodeAffinity: nodeSelector and required node affinity filter, preferred terms score; `addedAffinity` adds to all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kubewheel.scheduler.plugins.base import Codes, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo, node_terms
from kubewheel.scheduler.table import Rows, Table


def wants_nodes(pod: PodInfo) -> bool:
    return bool(pod.shape.node_selector) or pod.shape.required_nodes is not None


def selected(pod: PodInfo, table: Table, rows: Rows) -> npt.NDArray[np.bool_]:
    """Nodes that the pod's own nodeSelector and required affinity admit."""
    fits = np.ones(len(rows), bool)
    for want in pod.shape.node_selector:
        fits &= table.label_match(want, rows)
    if pod.shape.required_nodes is not None:
        fits &= table.term_match(pod.shape.required_nodes, rows)
    return fits


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    is_local = True
    events = frozenset({"Node/Add", "Node/UpdateLabel", "Pod/UpdateLabel"})
    normalize_how = "up"

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        added = (self.args.get("addedAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
        self._added = node_terms(added) if added else None

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return wants_nodes(pod) or bool(pod.shape.preferred_nodes) or self._added is not None

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        codes = (~selected(pod, table, rows)).astype(np.int64)
        if self._added is not None:
            codes[~table.term_match(self._added, rows)] = 2
        return codes

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        if code == 2:
            return ("node(s) didn't match scheduler-enforced node affinity",)
        return ("node(s) didn't match Pod's node affinity/selector",)

    def is_unresolvable(self, code: int) -> bool:
        return True

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        if not pod.shape.preferred_nodes:
            return None
        total = np.zeros(len(rows))
        for weight, term in pod.shape.preferred_nodes:
            total += weight * table.term_match((term,), rows)
        return total
