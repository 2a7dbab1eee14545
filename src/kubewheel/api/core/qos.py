"""A pod's quality of service class.

In: a pod's spec. Out: Guaranteed | Burstable | BestEffort. Called by: pod.py, kubelet, scheduler, quota.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import quantity

_COUNTED = ("cpu", "memory")


def _sums(lists: list[Mapping[str, Any]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for amounts in lists:
        for name in _COUNTED:
            if name in amounts and (n := quantity.nano(amounts[name])) > 0:
                out[name] = out.get(name, 0) + n
    return out


def of_spec(spec: Mapping[str, Any]) -> str:
    """Guaranteed: every container limits cpu and memory and requests as much. BestEffort: none says anything."""
    pod = spec.get("resources") or {}
    if pod.get("requests") or pod.get("limits"):
        parts = [pod]
    else:
        parts = [c.get("resources") or {} for key in ("containers", "initContainers") for c in spec.get(key) or ()]
    limits_all = True
    request_lists, limit_lists = [], []
    for part in parts:
        requests, limits = part.get("requests") or {}, part.get("limits") or {}
        if not all(quantity.nano(limits.get(n, "0")) > 0 for n in _COUNTED):
            limits_all = False
        if requests:
            request_lists.append(requests)
        if limits:
            limit_lists.append(limits)
    requests, limits = _sums(request_lists), _sums(limit_lists)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if limits_all and requests == limits else "Burstable"


def of_pod(pod: Mapping[str, Any]) -> str:
    return (pod.get("status") or {}).get("qosClass") or of_spec(pod.get("spec") or {})
