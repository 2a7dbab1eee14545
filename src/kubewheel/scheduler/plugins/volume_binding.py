"""VolumeBinding: bound volumes fix the nodes; WaitForFirstConsumer claims are bound where the pod goes.

Filter: PV node affinity of bound claims; for late claims a fitting free PV, or a class that provisions there.
Reserve takes the PVs in memory; prebind writes them (claimRef, or the selected-node annotation) and waits until the
claims are bound by the persistent volume controller or a provisioner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kubewheel.api.resource import Object
from kubewheel.scheduler import match
from kubewheel.scheduler.match import Requirement
from kubewheel.scheduler.plugins import claims
from kubewheel.scheduler.plugins.base import Codes, Plugin
from kubewheel.scheduler.podinfo import PodInfo, node_terms
from kubewheel.scheduler.table import Rows, Table

CONFLICT, NOT_FOUND, GONE = 1, 2, 4
WORDS = {CONFLICT: "node(s) didn't match PersistentVolume's node affinity",
         NOT_FOUND: "node(s) didn't find available persistent volumes to bind",
         GONE: "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"}
SELECTED_NODE = "volume.kubernetes.io/selected-node"
BOUND_BY = "pv.kubernetes.io/bound-by-controller"


class VolumeBinding(Plugin):
    name = "VolumeBinding"
    events = frozenset({"PersistentVolumeClaim/Update", "PersistentVolume/Update", "StorageClass/Update",
                        "CSINode/Update", "CSIDriver/Update", "Node/Add", "Node/UpdateLabel"})

    def __init__(self, args: Mapping[str, Any] | None = None, handle: Any = None) -> None:
        super().__init__(args, handle)
        self._timeout = float(self.args.get("bindTimeoutSeconds", 600))
        self._taken: dict[str, str] = {}  # PV name → pod UID
        # pod UID → claims with the PV chosen for each, claims to be provisioned
        self._plans: dict[str, tuple[list[tuple[Object, Object]], list[Object]]] = {}
        self._table: Table | None = None

    def applies(self, pod: PodInfo, table: Table) -> bool:
        self._table = table
        return claims.has_claims(pod)

    def prefilter(self, pod: PodInfo, table: Table) -> str | None:
        objects = self.handle.objects
        for name, ephemeral in claims.claim_names(pod):
            claim = objects.get("persistentvolumeclaims", pod.namespace, name)
            if claim is None:
                return (f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                        if ephemeral else f'persistentvolumeclaim "{name}" not found')
            if (claim.get("status") or {}).get("phase") == "Lost":
                return (f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume '
                        f'"{claim["spec"].get("volumeName", "")}"')
            if claim["metadata"].get("deletionTimestamp"):
                return f'persistentvolumeclaim "{name}" is being deleted'
            owners = claim["metadata"].get("ownerReferences") or ()
            if ephemeral and not any(r.get("uid") == pod.uid for r in owners):
                return f"PVC {pod.namespace}/{name} was not created for pod {pod.key} (pod is not owner)"
            if not _is_bound(claim) and not claims.is_late(claim, objects):
                return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        codes = np.zeros(len(rows), np.int64)
        for name, _ in claims.claim_names(pod):
            claim = self.handle.objects.get("persistentvolumeclaims", pod.namespace, name)
            if claim is None:
                continue  # prefilter has spoken
            if not _is_bound(claim):
                codes[(codes == 0) & ~self._late(claim, table, rows)] = NOT_FOUND
                continue
            volume = self.handle.objects.get("persistentvolumes", None, claim["spec"]["volumeName"])
            if volume is None:
                codes[codes == 0] = GONE
            else:
                codes[(codes == 0) & ~_reaches(volume, table, rows)] = CONFLICT
        return codes

    def _late(self, claim: Object, table: Table, rows: Rows) -> npt.NDArray[np.bool_]:
        """Nodes where the claim would find, or be given, a volume."""
        found = claims.storage_class(claim, self.handle.objects) or {}
        selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
        if selected:  # a provisioner is at work for that node
            return rows == table.index.get(selected, -1)
        good = np.zeros(len(rows), bool)
        for volume in self._candidates(claim):
            good |= _reaches(volume, table, rows)
        if found.get("provisioner", claims.NO_PROVISIONER) != claims.NO_PROVISIONER:
            good |= _allowed(found, table, rows)
        return good

    def _candidates(self, claim: Object) -> list[Object]:
        """Free PVs that would satisfy the claim, the smallest first."""
        spec = claim["spec"]
        size = match.amount((spec.get("resources") or {}).get("requests", {}).get("storage", "0"))
        selector = match.selector(spec["selector"]) if spec.get("selector") else None
        me = (claim["metadata"]["namespace"], claim["metadata"]["name"])
        out = []
        for volume in self.handle.objects.list("persistentvolumes"):
            of, ref = volume["spec"], volume["spec"].get("claimRef")
            if volume["metadata"]["name"] in self._taken or volume["metadata"].get("deletionTimestamp"):
                continue
            if ref and (ref.get("namespace"), ref.get("name")) != me:
                continue
            if not ref and (volume.get("status") or {}).get("phase", "Available") not in ("Available", "Pending"):
                continue
            if (of.get("storageClassName") or "") != (spec.get("storageClassName") or ""):
                continue
            if (of.get("volumeMode") or "Filesystem") != (spec.get("volumeMode") or "Filesystem"):
                continue
            if not set(spec.get("accessModes") or ()) <= set(of.get("accessModes") or ()):
                continue
            if selector is not None and not selector.matches(volume["metadata"].get("labels") or {}):
                continue
            if match.amount((of.get("capacity") or {}).get("storage", "0")) >= size:
                out.append(volume)
        return sorted(out, key=lambda v: (match.amount(v["spec"]["capacity"]["storage"]), v["metadata"]["name"]))

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return (WORDS[code],)

    def is_unresolvable(self, code: int) -> bool:
        return True

    # -- binding ------------------------------------------------------------------------------------------------
    def reserve(self, pod: PodInfo, node: str) -> str | None:
        if self._table is None or not claims.has_claims(pod):
            return None
        static: list[tuple[Object, Object]] = []
        provision: list[Object] = []
        rows = np.array([self._table.index.get(node, 0)], np.int64)
        for name, _ in claims.claim_names(pod):
            claim = self.handle.objects.get("persistentvolumeclaims", pod.namespace, name)
            if claim is None or _is_bound(claim):
                continue
            volume = next((v for v in self._candidates(claim) if _reaches(v, self._table, rows)[0]), None)
            if volume is not None:
                self._taken[volume["metadata"]["name"]] = pod.uid
                static.append((claim, volume))
            else:
                provision.append(claim)
        self._plans[pod.uid] = static, provision
        return None

    def unreserve(self, pod: PodInfo, node: str) -> None:
        self._plans.pop(pod.uid, None)
        self._taken = {v: uid for v, uid in self._taken.items() if uid != pod.uid}

    async def prebind(self, pod: PodInfo, node: str) -> str | None:
        static, provision = self._plans.get(pod.uid, ([], []))
        if not static and not provision:
            return None
        client = self.handle.client
        for claim, volume in static:
            meta = claim["metadata"]
            ref = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": meta["namespace"],
                   "name": meta["name"], "uid": meta["uid"]}
            await client.patch("persistentvolumes", volume["metadata"]["name"],
                               {"metadata": {"annotations": {BOUND_BY: "yes"}}, "spec": {"claimRef": ref}})
        for claim in provision:
            meta = claim["metadata"]
            await client.patch("persistentvolumeclaims", meta["name"],
                               {"metadata": {"annotations": {SELECTED_NODE: node}}}, namespace=meta["namespace"])
        why = await self._wait_bound(pod, [c for c, _ in static] + provision, node)
        self.unreserve(pod, node)
        return why

    async def _wait_bound(self, pod: PodInfo, waiting: list[Object], node: str) -> str | None:
        deadline = asyncio.get_running_loop().time() + self._timeout
        while asyncio.get_running_loop().time() < deadline:
            now = [self.handle.objects.get("persistentvolumeclaims", pod.namespace, c["metadata"]["name"])
                   for c in waiting]
            if any(c is None for c in now):
                return "binding volumes: a persistentvolumeclaim was deleted"
            if all(c is not None and _is_bound(c) for c in now):
                return None
            await asyncio.sleep(0.1)
        return "binding volumes: context deadline exceeded"


def _is_bound(claim: Object) -> bool:
    return bool(claim["spec"].get("volumeName")) and (claim.get("status") or {}).get("phase", "Bound") == "Bound"


def _reaches(volume: Object, table: Table, rows: Rows) -> npt.NDArray[np.bool_]:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return np.ones(len(rows), bool) if required is None else table.term_match(node_terms(required), rows)


def _allowed(storage_class: Object, table: Table, rows: Rows) -> npt.NDArray[np.bool_]:
    topologies = storage_class.get("allowedTopologies")
    if not topologies:
        return np.ones(len(rows), bool)
    out = np.zeros(len(rows), bool)
    for topology in topologies:
        fits = np.ones(len(rows), bool)
        for want in topology.get("matchLabelExpressions") or ():
            fits &= table.label_match(Requirement(want["key"], "In", tuple(want["values"])), rows)
        out |= fits
    return out
