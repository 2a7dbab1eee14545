"""VolumeZone: a bound volume that carries zone or region labels wants nodes of that zone or region."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.match import Requirement
from kubewheel.scheduler.plugins import claims
from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

KEYS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region")


class VolumeZone(Plugin):
    name = "VolumeZone"
    events = frozenset({"Node/Add", "Node/UpdateLabel", "PersistentVolumeClaim/Update", "PersistentVolume/Update",
                        "StorageClass/Update"})

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return claims.has_claims(pod)

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        bad = np.zeros(len(rows), bool)
        for volume in claims.bound_volumes(pod, self.handle.objects):
            labels = volume["metadata"].get("labels") or {}
            for key in KEYS:
                if key in labels:
                    bad |= ~table.label_match(Requirement(key, "In", tuple(labels[key].split("__"))), rows)
        return bad.astype(np.int64) if bad.any() else None

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return ("node(s) had no available volume zone",)

    def is_unresolvable(self, code: int) -> bool:
        return True
