"""NodeUnschedulable: cordoned nodes take no pods, but those that tolerate it."""

from __future__ import annotations

from kubewheel.scheduler.match import Taint
from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

CORDONED = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(Plugin):
    name = "NodeUnschedulable"
    is_local = True
    events = frozenset({"Node/Add", "Node/UpdateTaint"})

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        cordoned = table.unschedulable[rows]
        if not cordoned.any() or any(t.tolerates(CORDONED) for t in pod.shape.tolerations):
            return None
        return cordoned.astype("int64")

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return ("node(s) were unschedulable",)

    def is_unresolvable(self, code: int) -> bool:
        return True
