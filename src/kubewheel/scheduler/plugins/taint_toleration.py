"""TaintToleration: NoSchedule and NoExecute taints turn pods away; PreferNoSchedule taints cost score.

Nodes share few sets of taints, so each set is judged once per pod and looked up for all nodes.
"""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.match import Taint, first_untolerated
from kubewheel.scheduler.plugins.base import Codes, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table


class TaintToleration(Plugin):
    name = "TaintToleration"
    is_local = True
    events = frozenset({"Node/Add", "Node/UpdateTaint", "Pod/UpdateToleration"})
    normalize_how = "down"

    def __init__(self, args=None, handle=None) -> None:
        super().__init__(args, handle)
        self._codes: dict[Taint, int] = {}
        self._taints: list[Taint] = []

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        if len(table.taint_sets) == 1:
            return None
        sets = table.taints[rows]
        by_set = np.zeros(len(table.taint_sets), np.int64)
        for number in np.unique(sets):
            bad = first_untolerated(table.taint_sets[number], pod.shape.tolerations, ("NoSchedule", "NoExecute"))
            by_set[number] = self._code_of(bad) if bad is not None else 0
        return by_set[sets] if by_set.any() else None

    def _code_of(self, taint: Taint) -> int:
        code = self._codes.get(taint)
        if code is None:
            self._taints.append(taint)
            code = self._codes[taint] = len(self._taints)
        return code

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return (f"node(s) had untolerated taint {self._taints[code - 1]}",)

    def is_unresolvable(self, code: int) -> bool:
        return True

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        if len(table.taint_sets) == 1:
            return None
        sets = table.taints[rows]
        tolerated = [t for t in pod.shape.tolerations if t.effect in ("", "PreferNoSchedule")]
        by_set = np.zeros(len(table.taint_sets))
        for number in np.unique(sets):
            by_set[number] = sum(t.effect == "PreferNoSchedule" and not any(x.tolerates(t) for x in tolerated)
                                 for t in table.taint_sets[number])
        return by_set[sets] if by_set.any() else None
