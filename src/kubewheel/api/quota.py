"""What an object uses of a quota, and which quotas look at it. Pure.

In: objects, quotas. Out: {resource name: Amount}. Called by: the ResourceQuota and LimitRanger admission, the quota controller.
Source of the rules: the resource quota page of upstream's documentation and its evaluators' behaviour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubewheel.api import amounts
from kubewheel.api.amounts import Amount
from kubewheel.api.resource import Object

Usage = dict[str, Amount]
STANDARD = ("cpu", "memory", "ephemeral-storage")
POD_LEVEL = ("cpu", "memory")
COUNTED_BY_NAME = {"secrets", "configmaps", "replicationcontrollers", "resourcequotas"}  # core only
STORAGE_CLASS = ".storageclass.storage.k8s.io/"


def add(a: Usage, b: Usage) -> Usage:
    return a | {k: a.get(k, amounts.ZERO) + v for k, v in b.items()}


def subtract(a: Usage, b: Usage) -> Usage:
    """a - b over the names of both."""
    return {k: a.get(k, amounts.ZERO) - b.get(k, amounts.ZERO) for k in {**a, **b}}


def _list(resources: Object | None, field: str) -> Usage:
    return {k: amounts.parse(v) for k, v in ((resources or {}).get(field) or {}).items()}


def _highest(a: Usage, b: Usage) -> Usage:
    return a | {k: v for k, v in b.items() if k not in a or v > a[k]}


def pod_resources(pod: Object, field: str) -> Usage:
    """"requests" or "limits" of a whole pod: containers and sidecars together, or the greediest init step."""
    spec = pod.get("spec") or {}
    total: Usage = {}
    for container in spec.get("containers") or ():
        total = add(total, _list(container.get("resources"), field))
    sidecars: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or ():
        own = _list(container.get("resources"), field)
        if container.get("restartPolicy") == "Always":
            total, sidecars = add(total, own), add(sidecars, own)
            own = sidecars
        else:
            own = add(own, sidecars)
        peak = _highest(peak, own)
    total = _highest(total, peak)
    for name, amount in _list(spec.get("resources"), field).items():
        if name in POD_LEVEL or name.startswith("hugepages-"):
            total[name] = amount
    overhead = {k: amounts.parse(v) for k, v in (spec.get("overhead") or {}).items()}
    if field == "limits":  # without a limit overhead makes none
        overhead = {k: v for k, v in overhead.items() if k in total}
    return add(total, overhead)


def is_terminal(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def of_pod(pod: Object) -> Usage:
    out: Usage = {"count/pods": amounts.count(1)}
    if is_terminal(pod):
        return out
    out["pods"] = amounts.count(1)
    for name, amount in pod_resources(pod, "requests").items():
        out[f"requests.{name}"] = amount
        if name in STANDARD or name.startswith("hugepages-"):
            out[name] = amount
    for name, amount in pod_resources(pod, "limits").items():
        out[f"limits.{name}"] = amount
    return out


def of_service(service: Object) -> Usage:
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    ports = spec.get("ports") or ()
    out = {"count/services": amounts.count(1), "services": amounts.count(1), "services.nodeports": amounts.ZERO,
           "services.loadbalancers": amounts.ZERO}
    if kind == "NodePort":
        out["services.nodeports"] = amounts.count(len(ports))
    elif kind == "LoadBalancer":
        out["services.loadbalancers"] = amounts.count(1)
        if spec.get("allocateLoadBalancerNodePorts", True) is not False:
            out["services.nodeports"] = amounts.count(len(ports))
        else:
            out["services.nodeports"] = amounts.count(sum(1 for p in ports if p.get("nodePort")))
    return out


def of_claim(claim: Object) -> Usage:
    spec = claim.get("spec") or {}
    out = {"count/persistentvolumeclaims": amounts.count(1), "persistentvolumeclaims": amounts.count(1)}
    name = (claim["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class") \
        or spec.get("storageClassName") or ""
    if name:
        out[f"{name}{STORAGE_CLASS}persistentvolumeclaims"] = amounts.count(1)
    size = _list(spec.get("resources"), "requests").get("storage")
    if size is not None:
        out["requests.storage"] = size
        if name:
            out[f"{name}{STORAGE_CLASS}requests.storage"] = size
    return out


def of_object(plural: str, group: str, obj: Object) -> Usage:
    """What one object of any namespaced resource uses."""
    if not group:
        if plural == "pods":
            return of_pod(obj)
        if plural == "services":
            return of_service(obj)
        if plural == "persistentvolumeclaims":
            return of_claim(obj)
    out = {f"count/{plural}.{group}" if group else f"count/{plural}": amounts.count(1)}
    if not group and plural in COUNTED_BY_NAME:
        out[plural] = amounts.count(1)
    return out


# -- scopes -----------------------------------------------------------------------------------------------------------
def is_best_effort(pod: Object) -> bool:
    spec = pod.get("spec") or {}
    parts = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ()), spec]
    for part in parts:
        resources = part.get("resources") or {}
        for field in ("requests", "limits"):
            for name in POD_LEVEL:
                value = (resources.get(field) or {}).get(name)
                if value is not None and amounts.parse(value) > amounts.ZERO:
                    return False
    return True


def scopes_of(quota: Object) -> list[Object]:
    """Scopes and scopeSelector of a quota as one list of requirements."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": s, "operator": "Exists"} for s in spec.get("scopes") or ()]
    return plain + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def matches_scopes(quota: Object, plural: str, group: str, obj: Object) -> bool:
    """All scopes must hold. A scoped quota looks at pods (and claims, for VolumeAttributesClass) only."""
    required = scopes_of(quota)
    if not required:
        return True
    if group or plural not in ("pods", "persistentvolumeclaims"):
        return False
    return all(_matches_scope(r, plural, obj) for r in required)


def _matches_scope(requirement: Object, plural: str, obj: Object) -> bool:
    name = requirement["scopeName"]
    spec = obj.get("spec") or {}
    if name == "VolumeAttributesClass":
        return plural == "persistentvolumeclaims" and _selects(requirement, spec.get("volumeAttributesClassName") or "")
    if plural != "pods":
        return False
    if name == "PriorityClass":
        return _selects(requirement, spec.get("priorityClassName") or "")
    answers = {
        "Terminating": lambda: spec.get("activeDeadlineSeconds") is not None,
        "NotTerminating": lambda: spec.get("activeDeadlineSeconds") is None,
        "BestEffort": lambda: is_best_effort(obj),
        "NotBestEffort": lambda: not is_best_effort(obj),
        "CrossNamespacePodAffinity": lambda: _crosses_namespaces(spec),
    }
    return answers[name]() if name in answers else False


def _selects(requirement: Object, value: str) -> bool:
    operator, values = requirement.get("operator"), requirement.get("values") or ()
    if operator == "Exists":
        return value != ""
    if operator == "DoesNotExist":
        return value == ""
    if operator == "In":
        return value in values
    return operator == "NotIn" and value not in values


def _crosses_namespaces(spec: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (spec.get("affinity") or {}).get(kind) or {}
        flat: list[Any] = list(terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        flat += [t.get("podAffinityTerm") or {} for t in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in flat):
            return True
    return False


def missing_requests(pod: Object, hard: Iterable[str]) -> list[str]:
    """`cpu for: a,b`: containers that say nothing of what a quota of theirs limits, in upstream's words."""
    required = sorted(n for n in hard if n in ("cpu", "memory") or n.startswith(("requests.", "limits.")))
    required = [n for n in required if n.removeprefix("requests.").removeprefix("limits.") in POD_LEVEL]
    spec = pod.get("spec") or {}
    out = []
    for name in required:
        field = "limits" if name.startswith("limits.") else "requests"
        plain = name.rpartition(".")[2]
        if plain in ((spec.get("resources") or {}).get(field) or {}):
            continue
        lacking = [c["name"] for c in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
                   if plain not in ((c.get("resources") or {}).get(field) or {})]
        if lacking:
            out.append(f"{name} for: {','.join(sorted(lacking))}")
    return out
