"""Whether a pod bound to this node may run here: the kubelet's own check.

In: pod, pods that run already, node facts. Out: (reason, message) of a refusal, or None. Pure.
Called by: kubelet.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import quantity
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.plan import is_sidecar
from kubewheel.kubelet.runtime import security

Object = dict[str, Any]


def refusal(pod: Object, others: list[Object], node: Object | None, allocatable: Object,
            options: Options) -> tuple[str, str] | None:
    sysctl = security.forbidden_sysctl(pod, options)
    if sysctl:
        return "SysctlForbidden", f'forbidden sysctl: "{sysctl}" not allowlisted'
    if node is not None and not _selects(pod["spec"].get("nodeSelector") or {}, node):
        return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    busy = {key for other in others for key in _host_ports(other)}
    if busy & set(_host_ports(pod)):
        return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    if len(others) + 1 > int(allocatable.get("pods", options.max_pods)):
        return "OutOfpods", (f"Node didn't have enough resource: pods, requested: 1, used: {len(others)}, "
                             f"capacity: {allocatable.get('pods')}")
    for name, read in (("cpu", quantity.milli), ("memory", quantity.value),
                       ("ephemeral-storage", quantity.value)):
        have = read(allocatable.get(name, 0))
        wanted = request(pod, name, read)
        used = sum(request(other, name, read) for other in others)
        if wanted and used + wanted > have:
            return f"OutOf{name}", (f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, "
                                    f"capacity: {have}")
    return None


def request(pod: Object, name: str, read: Any) -> int:
    """What the pod asks for: the sum of containers, or the largest of its init steps, plus overhead."""
    spec = pod["spec"]

    def of(container: Object) -> int:
        return read(((container.get("resources") or {}).get("requests") or {}).get(name, 0))

    running = sum(of(c) for c in spec.get("containers") or ())
    peak, sidecars = 0, 0
    for container in spec.get("initContainers") or ():
        if is_sidecar(container):
            sidecars += of(container)
            peak = max(peak, sidecars)
        else:
            peak = max(peak, sidecars + of(container))
    return max(running + sidecars, peak) + read((spec.get("overhead") or {}).get(name, 0))


def _host_ports(pod: Object) -> list[tuple[str, int]]:
    return [(p.get("protocol") or "TCP", p["hostPort"]) for c in pod["spec"].get("containers") or ()
            for p in c.get("ports") or () if p.get("hostPort")]


def _selects(selector: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(k) == v for k, v in selector.items())
