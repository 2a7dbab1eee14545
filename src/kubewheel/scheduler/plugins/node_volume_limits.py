"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node (CSINode's allocatable.count)."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins import claims
from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table


class NodeVolumeLimits(Plugin):
    name = "NodeVolumeLimits"
    events = frozenset({"AssignedPod/Delete", "CSINode/Update", "PersistentVolumeClaim/Update"})

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return bool(pod.shape.volumes)

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        wanted = self._attachments(pod)
        limits = {n["metadata"]["name"]: {d["name"]: (d.get("allocatable") or {}).get("count")
                                          for d in n["spec"].get("drivers") or ()}
                  for n in self.handle.objects.list("csinodes.storage.k8s.io")} if wanted else {}
        if not limits:
            return None
        codes = np.zeros(len(rows), np.int64)
        for at, row in enumerate(rows):
            allowed = limits.get(table.names[row], {})
            for driver in {d for d, _ in wanted}:
                if (limit := allowed.get(driver)) is None:
                    continue
                there = {a for p in table.pods[row].values() for a in self._attachments(p) if a[0] == driver}
                new = {a for a in wanted if a[0] == driver} - there
                if new and len(there) + len(new) > limit:
                    codes[at] = 1
        return codes

    def _attachments(self, pod: PodInfo) -> set[tuple[str, str]]:
        """(driver, what tells volumes apart) of every CSI volume of the pod."""
        objects, out = self.handle.objects, set()
        for name, _ in claims.claim_names(pod) if pod.shape.volumes else ():
            claim = objects.get("persistentvolumeclaims", pod.namespace, name)
            if claim is None:
                continue
            bound_to = claim["spec"].get("volumeName")
            source = ((objects.get("persistentvolumes", None, bound_to) or {}).get("spec", {}).get("csi")
                      if bound_to else None)
            if source:
                out.add((source["driver"], source["volumeHandle"]))
            elif not bound_to and (found := claims.storage_class(claim, objects)) is not None:
                out.add((found["provisioner"], f"{pod.namespace}/{name}"))
        return out

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return ("node(s) exceed max volume count",)
