"""On which nodes a DaemonSet's pod belongs, and what the pod for a node looks like. Pure.

In: DaemonSet, Node dicts. Out: booleans, pod specs. Called by: daemonset.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.reconcile import objects

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _toleration(key: str, effect: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": effect}


TOLERATIONS = (
    _toleration("node.kubernetes.io/not-ready", "NoExecute"),
    _toleration("node.kubernetes.io/unreachable", "NoExecute"),
    _toleration("node.kubernetes.io/disk-pressure", "NoSchedule"),
    _toleration("node.kubernetes.io/memory-pressure", "NoSchedule"),
    _toleration("node.kubernetes.io/pid-pressure", "NoSchedule"),
    _toleration("node.kubernetes.io/unschedulable", "NoSchedule"),
)
HOST_NETWORK = _toleration("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    """v1.Toleration.ToleratesTaint for any of them."""
    for t in tolerations:
        if t.get("effect") and t["effect"] != taint["effect"]:
            continue
        if t.get("key") and t["key"] != taint["key"]:
            continue
        if t.get("operator", "Equal") == "Exists":
            return True
        if t.get("key") and t.get("value", "") == taint.get("value", ""):
            return True
    return False


def matches_term(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    names = {"metadata.name": node["metadata"]["name"]}
    return objects.matches(
        {"matchExpressions": list(expressions)}, objects.labels_of(node)
    ) and objects.matches({"matchExpressions": list(fields)}, names)


def matches_affinity(spec: Object, node: Object) -> bool:
    """nodeSelector and required node affinity."""
    if not (spec.get("nodeSelector") or {}).items() <= objects.labels_of(node).items():
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return required is None or any(matches_term(t, node) for t in required.get("nodeSelectorTerms") or ())


def tolerations_of(spec: Object) -> list[Object]:
    out = list(spec.get("tolerations") or ())
    for t in (*TOLERATIONS, *((HOST_NETWORK,) if spec.get("hostNetwork") else ())):
        if t not in out:
            out.append(t)
    return out


def should_run(ds: Object, node: Object) -> tuple[bool, bool]:
    """(a new pod should be made, a running one may stay)."""
    spec = ds["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False, False
    if not matches_affinity(spec, node):
        return False, False
    tolerations = tolerations_of(spec)
    taints = (node.get("spec") or {}).get("taints") or ()
    bad = [t for t in taints if t["effect"] in ("NoSchedule", "NoExecute") and not tolerates(tolerations, t)]
    if bad:
        return False, all(t["effect"] != "NoExecute" for t in bad)
    return True, True


def pin(pod: Object, node: str) -> None:
    """In place: required node affinity to this node by name (the scheduler places it), and the
    tolerations."""
    spec = pod["spec"]
    spec["tolerations"] = tolerations_of(spec)
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    terms = (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    # Node affinity was matched already when the node was chosen: only the name is left to say.
    affinity[REQUIRED] = {"nodeSelectorTerms": [codec.copy(field) for _ in terms] or [field]}
    if len(affinity[REQUIRED]["nodeSelectorTerms"]) > 1:
        affinity[REQUIRED]["nodeSelectorTerms"] = [field]


def target_node(pod: Object) -> str:
    """The node a pod is bound to, or pinned to while it waits for the scheduler."""
    name = pod["spec"].get("nodeName")
    if name:
        return name
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for f in term.get("matchFields") or ():
            if f["key"] == "metadata.name" and f["operator"] == "In" and len(f.get("values") or ()) == 1:
                return f["values"][0]
    return ""
