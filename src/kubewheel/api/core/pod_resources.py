"""What a pod's containers ask for together, and what a pod that says something of itself as a whole asks for by default.

In: PodSpec dicts. Out: amounts by resource. Called by: pod_spec_validation.py, pod_defaults.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubewheel.api import quantity

Spec = Mapping[str, Any]


def aggregate(spec: Spec, side: str) -> dict[str, str]:
    """Of the containers and sidecars together; or of an init container with the sidecars before it, if that is more."""
    def added(to: dict[str, str], c: Spec) -> dict[str, str]:
        out = dict(to)
        for name, value in ((c.get("resources") or {}).get(side) or {}).items():
            if quantity.is_valid(value):
                out[name] = quantity.add(out[name], value) if name in out else quantity.canonical(value)
        return out

    most: dict[str, str] = {}
    sidecars: dict[str, str] = {}
    for c in spec.get("initContainers") or ():
        with_it = added(sidecars, c)
        if c.get("restartPolicy") == "Always":
            sidecars = with_it
        most = {name: max(most.get(name, "0"), with_it.get(name, "0"), key=quantity.nano) for name in {**most, **with_it}}
    total = sidecars
    for c in spec.get("containers") or ():
        total = added(total, c)
    return {name: max(total.get(name, "0"), most.get(name, "0"), key=quantity.nano) for name in {**total, **most}}


def defaults(spec: dict[str, Any]) -> None:
    """Of a pod whose spec.resources says something: the rest of it. In place. (KEP-2837, KEP-5419)"""
    resources = spec.get("resources")
    if not resources or not (resources.get("limits") or resources.get("requests")):
        return
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    for name, total in aggregate(spec, "limits").items():
        if name.startswith("hugepages-"):
            limits.setdefault(name, total)
    if limits:
        for name, total in aggregate(spec, "requests").items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, total)
        for name, amount in limits.items():
            if name in ("cpu", "memory") or name.startswith("hugepages-"):
                requests.setdefault(name, amount)
    for side, amounts in (("limits", limits), ("requests", requests)):
        if amounts and amounts != resources.get(side):
            resources[side] = amounts
