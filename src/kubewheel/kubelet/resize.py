"""In-place resize: which resources a pod is granted, and bringing its running containers to them.

In: pod, the node's other pods, observed. Out: `allocate` (the pod with the resources it is granted), UpdateContainer-
Resources, `restarts` (containers whose resizePolicy wants a restart), `condition` for the status.
Called by: pod_worker.py. What is granted outlives the kubelet in <pod dir>/allocated.json.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from kubewheel.api import quantity
from kubewheel.kubelet.admission import request
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.deps import Deps
from kubewheel.kubelet.observed import Container, Observed
from kubewheel.kubelet.plan import is_sidecar
from kubewheel.kubelet.runtime import resources

Object = dict[str, Any]
NEVER = 3600.0
RETRY = 5.0
READERS = (("cpu", quantity.milli), ("memory", quantity.value))


class Resizer:
    def __init__(self, deps: Deps, uid: str) -> None:
        self._deps = deps
        self._path = os.path.join(deps.options.pod_dir(uid), "allocated.json")
        self.allocated: dict[str, Object] = {}  # container -> resources granted
        self.in_force: dict[str, Object] = {}  # container -> resources its cgroup has
        self.condition: tuple[str, str, str] | None = None
        self._pending: tuple[str, str] | None = None
        self._applied: dict[str, Object] = {}  # container id -> linux resources in force

    # -- what the pod is granted -----------------------------------------------------------------------------
    async def allocate(self, pod: Object) -> Object:
        """The pod with the resources in force or to be put in force. A resize the node cannot give is left out."""
        wanted = {c["name"]: c.get("resources") or {} for c in _resizable(pod)}
        if not self.allocated:
            self.allocated = await asyncio.to_thread(self._load) or wanted
            await asyncio.to_thread(self._save)
        if wanted == self.allocated:
            self._pending = None
            return pod
        refusal = self._refusal(pod)
        if refusal is None:
            self.allocated, self._pending = wanted, None
            await asyncio.to_thread(self._save)
            return pod
        if refusal != self._pending:
            self._pending = refusal
            self._deps.events.event(pod, "Warning", f"Resize{refusal[0]}", f"Pod resize {refusal[0]}: {refusal[1]}")
        return _with_resources(pod, self.allocated)

    def _load(self) -> dict[str, Object]:
        try:
            with open(self._path) as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return {}

    def _save(self) -> None:
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        with open(self._path + ".new", "w") as file:
            json.dump(self.allocated, file)
        os.replace(self._path + ".new", self._path)

    def _refusal(self, pod: Object) -> tuple[str, str] | None:
        """(Infeasible or Deferred, why): the node can never give it, or cannot now."""
        allocatable = self._deps.node.allocatable
        if (pod["metadata"].get("annotations") or {}).get("kubernetes.io/config.source", "api") != "api":
            return "Infeasible", "In-place resize of static-pods is not supported"
        for name, read in READERS:
            have, want = read(allocatable.get(name, 0)), request(pod, name, read)
            if have and want > have:
                return "Infeasible", f"Node didn't have enough capacity: {name}, requested: {want}, capacity: {have}"
        for name, read in READERS:
            have, want = read(allocatable.get(name, 0)), request(pod, name, read)
            used = sum(request(other, name, read) for other in self._deps.others(pod["metadata"]["uid"]))
            if have and want + used > have:
                return "Deferred", (f"Node didn't have enough resource: {name}, requested: {want}, used: {used}, "
                                    f"capacity: {have}")
        return None

    # -- bringing containers there ---------------------------------------------------------------------------
    def restarts(self, pod: Object, observed: Observed, qos: str) -> frozenset[str]:
        """Ids of containers that take their new resources by a restart."""
        return frozenset(last.id for container, last, wanted in self._running(pod, observed, qos)
                         if (before := self._applied.get(last.id)) and _needs_restart(container, before, wanted))

    async def sync(self, pod: Object, observed: Observed, qos: str) -> float:
        """Seconds until it should be looked at again. `pod` is what `allocate` gave."""
        self.condition = ("PodResizePending", *self._pending) if self._pending else None
        changed, error = False, ""
        for container, last, wanted in self._running(pod, observed, qos):
            before = self._applied.get(last.id)
            if before is not None and before != wanted:
                if _needs_restart(container, before, wanted):
                    self.condition = ("PodResizeInProgress", "", "")
                    continue
                error = await self._update(pod, last, before, wanted, qos)
                if error:
                    break
                changed = True
            self._applied[last.id] = wanted
            self.in_force[container["name"]] = container.get("resources") or {}
        if changed:
            await asyncio.to_thread(self._deps.cgroups.apply, pod, qos)
        if error:
            self.condition = ("PodResizeInProgress", "Error", error)
            self._deps.events.event(pod, "Warning", "ResizeError", f"Pod resize error: {error}")
            return RETRY
        if changed:
            self._deps.events.event(pod, "Normal", "ResizeCompleted", "Pod resize completed")
        return RETRY if self._pending and self._pending[0] == "Deferred" else NEVER

    def _running(self, pod: Object, observed: Observed, qos: str) -> list[tuple[Object, Container, Object]]:
        out = []
        for container in _resizable(pod):
            last = observed.latest(container["name"])
            if last is not None and last.state == "running":
                oom = resources.oom_score_adj(pod, container, qos, self._deps.node.memory_capacity)
                wanted = {k: v for k, v in resources.linux(container, oom=oom).items() if k in _FIELDS}
                out.append((container, last, wanted))
        return out

    async def _update(self, pod: Object, last: Container, before: Object, wanted: Object, qos: str) -> str:
        """What went wrong, or ""."""
        limit, cgroups = wanted["memory_limit_in_bytes"], self._deps.cgroups
        if limit and limit != before["memory_limit_in_bytes"]:
            parent = cgroups.parent_of(pod["metadata"]["uid"], qos)
            usage = cgroups.read_number("memory", f"{parent}/{last.id}",
                                        "memory.current" if cgroups.is_v2 else "memory.usage_in_bytes")
            if usage is not None and limit <= usage:
                return f"attempting to set container memory limit ({limit}) below current usage ({usage})"
        update = dict(wanted)
        for name in ("cpu_quota", "memory_limit_in_bytes"):
            update[name] = wanted[name] or -1
        try:
            await self._deps.cri.update_resources(last.id, update)
        except CriError as e:
            return str(e)
        return ""


_FIELDS = ("cpu_shares", "cpu_period", "cpu_quota", "memory_limit_in_bytes")


def _resizable(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*(spec.get("containers") or ()), *(c for c in spec.get("initContainers") or () if is_sidecar(c))]


def _with_resources(pod: Object, granted: dict[str, Object]) -> Object:
    def fit(container: Object) -> Object:
        return {**container, "resources": granted[container["name"]]} if container["name"] in granted else container

    spec = dict(pod["spec"])
    for group in ("containers", "initContainers"):
        if spec.get(group):
            spec[group] = [fit(c) for c in spec[group]]
    return {**pod, "spec": spec}


def _needs_restart(container: Object, before: Object, wanted: Object) -> bool:
    policy = {p["resourceName"]: p["restartPolicy"] for p in container.get("resizePolicy") or ()}
    cpu = any(before[k] != wanted[k] for k in ("cpu_shares", "cpu_quota"))
    memory = before["memory_limit_in_bytes"] != wanted["memory_limit_in_bytes"]
    return (cpu and policy.get("cpu") == "RestartContainer") or (memory and policy.get("memory") == "RestartContainer")
