"""CPU and memory as cgroups know them.

In: resources of containers and pods. Out: shares, quotas, limits, oom_score_adj (upstream's formulas). Pure.
Called by: runtime/container.py, runtime/sandbox.py, cgroups.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import quantity
from kubewheel.kubelet.plan import is_sidecar

Object = dict[str, Any]

PERIOD = 100_000
MIN_SHARES, MAX_SHARES, MIN_QUOTA = 2, 262_144, 1000


def shares(milli: int) -> int:
    return MIN_SHARES if milli == 0 else min(max(milli * 1024 // 1000, MIN_SHARES), MAX_SHARES)


def quota(milli: int) -> int:
    """0 means no limit."""
    return 0 if milli == 0 else max(milli * PERIOD // 1000, MIN_QUOTA)


def weight(cpu_shares: int) -> int:
    """cgroup v2's cpu.weight of v1's cpu.shares, with the runtime's conversion."""
    return 1 + (cpu_shares - 2) * 9999 // 262142


def linux(container: Object, *, oom: int, unified: dict[str, str] | None = None) -> Object:
    """LinuxContainerResources of a container."""
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    cpu_limit = quantity.milli(limits.get("cpu", 0))
    cpu_request = quantity.milli(requests["cpu"]) if "cpu" in requests else cpu_limit
    out: Object = {"cpu_shares": shares(cpu_request), "cpu_period": PERIOD, "cpu_quota": quota(cpu_limit),
                   "memory_limit_in_bytes": quantity.value(limits.get("memory", 0)), "oom_score_adj": oom}
    if unified:
        out["unified"] = unified
    pages = [(k, v) for k, v in limits.items() if k.startswith("hugepages-")]
    if pages:
        out["hugepage_limits"] = [
            {"page_size": k.removeprefix("hugepages-").replace("i", "") + "B", "limit": quantity.value(v)}
            for k, v in pages]
    return out


def oom_score_adj(pod: Object, container: Object, qos: str, memory_capacity: int) -> int:
    priority = pod["spec"].get("priority") or 0
    if priority >= 2_000_000_000 or qos == "Guaranteed":
        return -997
    if qos == "BestEffort":
        return 1000
    request = quantity.value(((container.get("resources") or {}).get("requests") or {}).get("memory", 0))
    score = 1000 - 1000 * request // max(memory_capacity, 1)
    if score < 3:
        return 3
    return 999 if score == 1000 else score


def pod_totals(pod: Object) -> Object:
    """{"cpu_request": milli, "cpu_limit": milli or 0, "memory_limit": bytes or 0}: a limit holds only if all
    have one."""
    spec = pod["spec"]
    if spec.get("resources"):
        own = spec["resources"]
        limits, requests = own.get("limits") or {}, own.get("requests") or {}
        totals = _sum_containers(spec)
        return {"cpu_request": quantity.milli(requests["cpu"]) if "cpu" in requests else totals["cpu_request"],
                "cpu_limit": quantity.milli(limits.get("cpu", 0)) or totals["cpu_limit"],
                "memory_limit": quantity.value(limits.get("memory", 0)) or totals["memory_limit"]}
    return _sum_containers(spec)


def _sum_containers(spec: Object) -> Object:
    steady = [*(spec.get("containers") or ()), *(c for c in spec.get("initContainers") or () if is_sidecar(c))]
    passing = [c for c in spec.get("initContainers") or () if not is_sidecar(c)]
    overhead = spec.get("overhead") or {}
    out = {"cpu_request": sum(_cpu_request(c) for c in steady) + quantity.milli(overhead.get("cpu", 0))}
    for key, resource, read in (("cpu_limit", "cpu", quantity.milli), ("memory_limit", "memory", quantity.value)):
        amounts = [read(_limits(c).get(resource, 0)) for c in steady]
        once = [read(_limits(c).get(resource, 0)) for c in passing]
        complete = all(amounts) and all(once) and bool(amounts)
        out[key] = max([sum(amounts), *once]) + read(overhead.get(resource, 0)) if complete else 0
    out["cpu_request"] = max([out["cpu_request"], *(_cpu_request(c) for c in passing)])
    return out


def _limits(container: Object) -> Object:
    return (container.get("resources") or {}).get("limits") or {}


def _cpu_request(container: Object) -> int:
    resources = container.get("resources") or {}
    requests = resources.get("requests") or {}
    return quantity.milli(requests.get("cpu", _limits(container).get("cpu", 0)))
