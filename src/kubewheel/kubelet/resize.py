"""In-place resize: brings running containers' cgroups to the resources their spec asks for.

In: pod, observed. Out: UpdateContainerResources, pod cgroup; `allocated` and `condition` for the status.
Called by: pod_worker.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.kubelet import quantities
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.deps import Deps
from kubewheel.kubelet.observed import Observed
from kubewheel.kubelet.plan import is_sidecar
from kubewheel.kubelet.runtime import resources

Object = dict[str, Any]
NEVER = 3600.0


class Resizer:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self.allocated: dict[str, Object] = {}  # container -> resources in force
        self.condition: tuple[str, str, str] | None = None
        self._applied: dict[str, Object] = {}  # container id -> linux resources in force

    async def sync(self, pod: Object, observed: Observed, qos: str) -> float:
        """Seconds until it should be looked at again."""
        self.condition = None
        spec = pod["spec"]
        refused = self._refusal(pod)
        for container in [*(spec.get("containers") or ()),
                          *(c for c in spec.get("initContainers") or () if is_sidecar(c))]:
            last = observed.latest(container["name"])
            if last is None or last.state != "running":
                continue
            oom = resources.oom_score_adj(pod, container, qos, self._deps.node.memory_capacity)
            wanted = resources.linux(container, oom=oom)
            before = self._applied.get(last.id)
            if before is None or before == wanted:
                self._applied[last.id] = wanted
                self.allocated[container["name"]] = container.get("resources") or {}
                continue
            if refused:
                self.condition = ("PodResizePending", *refused)
                continue
            try:
                update = {k: v for k, v in wanted.items() if k not in ("oom_score_adj", "hugepage_limits")}
                if not update["cpu_quota"]:
                    update["cpu_quota"] = -1
                if not update["memory_limit_in_bytes"]:
                    update["memory_limit_in_bytes"] = -1
                await self._deps.cri.update_resources(last.id, update)
            except CriError as e:
                self.condition = ("PodResizeInProgress", "Error", str(e))
                self._deps.events.event(pod, "Warning", "ResizeError", f"Pod resize error: {e}")
                return 10.0
            self._applied[last.id] = wanted
            self.allocated[container["name"]] = container.get("resources") or {}
            self._deps.events.event(pod, "Normal", "ResizeCompleted", "Pod resize completed")
        return NEVER

    def _refusal(self, pod: Object) -> tuple[str, str] | None:
        """(Infeasible, why) where the node can never give it."""
        totals = {"cpu": 0, "memory": 0}
        for container in pod["spec"].get("containers") or ():
            requests = (container.get("resources") or {}).get("requests") or {}
            totals["cpu"] += quantities.milli(requests.get("cpu", 0))
            totals["memory"] += quantities.value(requests.get("memory", 0))
        allocatable = self._deps.node.allocatable
        for name, read in (("cpu", quantities.milli), ("memory", quantities.value)):
            have = read(allocatable[name]) if name in allocatable else 0
            if have and totals[name] > have:
                return "Infeasible", (f"Node didn't have enough capacity: {name}, requested: {totals[name]}, "
                                      f"capacity: {have}")
        return None
