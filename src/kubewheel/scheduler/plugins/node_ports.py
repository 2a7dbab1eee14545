"""NodePorts: a host port is taken once per IP and protocol; 0.0.0.0 stands for all IPs."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table


class NodePorts(Plugin):
    name = "NodePorts"
    is_local = True
    events = frozenset({"Node/Add", "AssignedPod/Delete"})

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return bool(pod.shape.ports)

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        taken = {row for ip, protocol, port in pod.shape.ports
                 for row, ips in table.ports.get((protocol, port), {}).items()
                 if any(ip == other or "0.0.0.0" in (ip, other) for other in ips)}
        return np.isin(rows, list(taken)).astype(np.int64) if taken else None

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return ("node(s) didn't have free ports for the requested pod ports",)
