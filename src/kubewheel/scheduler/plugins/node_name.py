"""NodeName: a pod that names its node (as DaemonSets once did) fits there only."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table


class NodeName(Plugin):
    name = "NodeName"
    is_local = True
    events = frozenset({"Node/Add"})

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return bool(pod.node)

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        wanted = table.index.get(pod.node, -1)
        return (rows != wanted).astype(np.int64)

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return ("node(s) didn't match the requested node name",)

    def is_unresolvable(self, code: int) -> bool:
        return True
