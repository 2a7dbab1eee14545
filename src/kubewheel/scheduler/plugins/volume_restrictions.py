"""VolumeRestrictions: ReadWriteOncePod claims have one user; some disks may not be mounted twice on one node."""

from __future__ import annotations

import numpy as np

from kubewheel.scheduler.plugins import claims
from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

DISKS = {"gcePersistentDisk": ("pdName",), "awsElasticBlockStore": ("volumeID",), "rbd": ("pool", "image"),
         "iscsi": ("iqn",)}


class VolumeRestrictions(Plugin):
    name = "VolumeRestrictions"
    events = frozenset({"AssignedPod/Delete", "Node/Add", "PersistentVolumeClaim/Update"})

    def applies(self, pod: PodInfo, table: Table) -> bool:
        return bool(pod.shape.volumes)

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        disks = set(_disks(pod))
        single = {name for name, _ in claims.claim_names(pod) if self._is_single(pod.namespace, name)}
        if not disks and not single:
            return None
        in_use = bool(single) and any(
            other.uid != pod.uid and other.namespace == pod.namespace
            and single & {name for name, _ in claims.claim_names(other)}
            for here in table.pods for other in here.values() if other.shape.volumes)
        codes = np.full(len(rows), 2 if in_use else 0, np.int64)
        for at, row in enumerate(rows):
            for other in table.pods[row].values():
                if disks and other.shape.volumes and any(_conflict(a, b) for a in disks for b in _disks(other)):
                    codes[at] = 1
        return codes

    def _is_single(self, namespace: str, name: str) -> bool:
        claim = self.handle.objects.get("persistentvolumeclaims", namespace, name)
        return claim is not None and "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ())

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        if code == 2:
            return ("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",)
        return ("node(s) had no available disk",)


def _disks(pod: PodInfo) -> list[tuple[str, tuple[str, ...], bool]]:
    out = []
    for text in pod.shape.volumes:
        json = claims.volume(text)
        for kind, fields in DISKS.items():
            if source := json.get(kind):
                out.append((kind, tuple(str(source.get(f, "")) for f in fields), bool(source.get("readOnly"))))
    return out


def _conflict(one: tuple[str, tuple[str, ...], bool], other: tuple[str, tuple[str, ...], bool]) -> bool:
    """The same disk, unless all read only (EBS never twice)."""
    return one[:2] == other[:2] and (one[0] == "awsElasticBlockStore" or not (one[2] and other[2]))
