"""What the scheduler needs of a pod: a small frozen view, and a signature under which decisions may be reused.

In: the pod's JSON. Out: PodInfo. Called by: table, queue, decide, plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from kubewheel.api.resource import Object
from kubewheel.scheduler import match
from kubewheel.scheduler.match import Requirement, Selector, Toleration

DEFAULT_MILLI_CPU, DEFAULT_MEMORY = 100, 200 * 1024 * 1024  # what a pod without requests counts as, for scoring
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """A NodeSelectorTerm: labels and fields (metadata.name). Both empty matches nothing."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A PodAffinityTerm of one pod, its own namespace filled in."""

    namespaces: frozenset[str]
    namespace_selector: Selector
    selector: Selector
    topology_key: str
    weight: int = 0  # preferred terms; negative for anti-affinity

    def matches(self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
        return (namespace in self.namespaces or self.namespace_selector.matches(namespace_labels)) \
            and self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class Spread:
    topology_key: str
    max_skew: int
    hard: bool  # DoNotSchedule
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """All of a pod that scheduling looks at, shared by pods of equal signature."""

    requests: tuple[tuple[str, int], ...]  # resource -> amount; cpu in milli; "pods" is always 1
    nonzero: tuple[int, int]  # cpu, memory with defaults for what asks for nothing
    tolerations: tuple[Toleration, ...]
    node_selector: tuple[Requirement, ...]
    required_nodes: tuple[NodeTerm, ...] | None
    preferred_nodes: tuple[tuple[int, NodeTerm], ...]
    affinity: tuple[PodTerm, ...]
    anti_affinity: tuple[PodTerm, ...]
    preferred_pods: tuple[PodTerm, ...]
    spread: tuple[Spread, ...]
    ports: tuple[tuple[str, str, int], ...]  # host IP, protocol, port
    images: tuple[str, ...]
    container_count: int
    volumes: tuple[bytes, ...]  # JSON of each volume that some plugin may care for


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    uid: str
    namespace: str
    name: str
    node: str
    labels: Mapping[str, str]
    priority: int
    scheduler: str
    terminating: bool
    nominated: str
    gates: tuple[str, ...]
    signature: bytes
    shape: Shape
    group: tuple[str, frozenset[tuple[str, str]], bool]  # namespace, labels, terminating: equal for affinity's eyes
    obj: Object

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def podinfo(pod: Object) -> PodInfo:
    meta, spec = pod["metadata"], pod["spec"]
    namespace, labels = meta.get("namespace", ""), meta.get("labels") or {}
    terminating = bool(meta.get("deletionTimestamp"))
    signature = _signature(namespace, labels, meta, spec)
    return PodInfo(
        uid=meta.get("uid", ""), namespace=namespace, name=meta["name"], node=spec.get("nodeName") or "",
        labels=labels, priority=spec.get("priority") or 0,
        scheduler=spec.get("schedulerName") or "default-scheduler", terminating=terminating,
        nominated=(pod.get("status") or {}).get("nominatedNodeName") or "",
        gates=tuple(g["name"] for g in spec.get("schedulingGates") or ()), signature=signature,
        shape=_shape(signature), group=(namespace, frozenset(labels.items()), terminating), obj=pod)


def _signature(namespace: str, labels: Mapping[str, str], meta: Object, spec: Object) -> bytes:
    owner = next((r.get("uid") for r in meta.get("ownerReferences") or () if r.get("controller")), None)
    containers = [[c.get("image"), c.get("resources"), c.get("ports"), c.get("restartPolicy")]
                  for c in spec.get("containers") or ()]
    inits = [[c.get("image"), c.get("resources"), c.get("ports"), c.get("restartPolicy")]
             for c in spec.get("initContainers") or ()]
    volumes = [v for v in spec.get("volumes") or ()
               if not ("projected" in v or "configMap" in v or "secret" in v or "emptyDir" in v)]
    return orjson.dumps([
        namespace, labels, owner, containers, inits, spec.get("overhead"), spec.get("nodeSelector"),
        spec.get("affinity"), spec.get("tolerations"), spec.get("topologySpreadConstraints"), volumes,
        spec.get("hostNetwork"), spec.get("resources"), spec.get("resourceClaims"), spec.get("priority"),
        meta["name"] if any("ephemeral" in v for v in volumes) else None,
    ], option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=16_384)
def _shape(signature: bytes) -> Shape:
    (namespace, labels, _owner, containers, inits, overhead, node_selector, affinity, tolerations, spread, volumes,
     host_network, resources, _claims, _priority, _name) = orjson.loads(signature)
    affinity = affinity or {}
    nodes, pods, anti = (affinity.get(k) or {} for k in ("nodeAffinity", "podAffinity", "podAntiAffinity"))
    required = nodes.get("requiredDuringSchedulingIgnoredDuringExecution")

    def terms(which: Object) -> tuple[PodTerm, ...]:
        return tuple(_pod_term(t, namespace, labels)
                     for t in which.get("requiredDuringSchedulingIgnoredDuringExecution") or ())

    preferred = [_pod_term(t["podAffinityTerm"], namespace, labels, sign * t["weight"])
                 for which, sign in ((pods, 1), (anti, -1))
                 for t in which.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
    return Shape(
        requests=tuple(sorted(_requests(containers, inits, overhead, resources).items())),
        nonzero=_nonzero(containers, inits, overhead, resources),
        tolerations=match.tolerations({"tolerations": tolerations}),
        node_selector=tuple(Requirement(k, "In", (v,)) for k, v in sorted((node_selector or {}).items())),
        required_nodes=None if required is None else tuple(map(_node_term, required.get("nodeSelectorTerms") or ())),
        preferred_nodes=tuple((p["weight"], _node_term(p["preference"]))
                              for p in nodes.get("preferredDuringSchedulingIgnoredDuringExecution") or ()),
        affinity=terms(pods), anti_affinity=terms(anti), preferred_pods=tuple(preferred),
        spread=tuple(_spread(s, labels) for s in spread or ()),
        ports=_ports(containers + [i for i in inits if i[3] == "Always"], bool(host_network)),
        images=tuple(c[0] for c in [*inits, *containers] if c[0]), container_count=len(containers) + len(inits),
        volumes=tuple(orjson.dumps(v) for v in volumes))


def _node_term(json: Object) -> NodeTerm:
    return NodeTerm(tuple(map(match.requirement, json.get("matchExpressions") or ())),
                    tuple(map(match.requirement, json.get("matchFields") or ())))


def node_terms(node_selector: Object | None) -> tuple[NodeTerm, ...]:
    """The terms of a NodeSelector (a PersistentVolume's node affinity)."""
    return tuple(map(_node_term, (node_selector or {}).get("nodeSelectorTerms") or ()))


def _pod_term(json: Object, namespace: str, labels: Mapping[str, str], weight: int = 0) -> PodTerm:
    named = json.get("namespaces") or ()
    by_labels = json.get("namespaceSelector")
    selector = match.selector(json.get("labelSelector"))
    if json.get("labelSelector") is not None:
        selector = selector.and_labels({k: labels[k] for k in json.get("matchLabelKeys") or () if k in labels})
    return PodTerm(
        frozenset(named) if named or by_labels is not None else frozenset((namespace,)),
        match.selector(by_labels), selector, json.get("topologyKey", ""), weight)


def _spread(json: Object, labels: Mapping[str, str]) -> Spread:
    selector = match.selector(json.get("labelSelector"))
    selector = selector.and_labels({k: labels[k] for k in json.get("matchLabelKeys") or () if k in labels})
    return Spread(
        json["topologyKey"], json.get("maxSkew", 1), json.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        selector, json.get("minDomains") or 1, json.get("nodeAffinityPolicy", "Honor") == "Honor",
        json.get("nodeTaintsPolicy", "Ignore") == "Honor")


def _ports(containers: list[Any], host_network: bool) -> tuple[tuple[str, str, int], ...]:
    out = []
    for _, _, ports, _ in containers:
        for port in ports or ():
            number = port.get("hostPort") or (port.get("containerPort") if host_network else 0)
            if number:
                out.append((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", number))
    return tuple(out)


def _amounts(resources: Any) -> dict[str, int]:
    return {k: match.amount(v, milli=k == "cpu") for k, v in ((resources or {}).get("requests") or {}).items()}


def _requests(containers: list[Any], inits: list[Any], overhead: Any, pod_level: Any) -> dict[str, int]:
    """max(sum of containers and sidecars, each init with the sidecars before it) + overhead; pod-level requests win."""
    total = _combine([_amounts(c[1]) for c in containers], [(_amounts(c[1]), c[3] == "Always") for c in inits])
    total.update(_amounts(pod_level))
    for name, value in (overhead or {}).items():
        total[name] = total.get(name, 0) + match.amount(value, milli=name == "cpu")
    total["pods"] = 1
    return {k: v for k, v in total.items() if v}


def _combine(main: list[dict[str, int]], inits: list[tuple[dict[str, int], bool]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for amounts in main:
        _add(total, amounts)
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for amounts, sidecar in inits:
        if sidecar:
            _add(total, amounts)
            _add(sidecars, amounts)
            _raise(peak, sidecars)
        else:
            step = dict(sidecars)
            _add(step, amounts)
            _raise(peak, step)
    _raise(total, peak)
    return total


def _add(into: dict[str, int], amounts: Mapping[str, int]) -> None:
    for name, value in amounts.items():
        into[name] = into.get(name, 0) + value


def _raise(into: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, value in floor.items():
        into[name] = max(into.get(name, 0), value)


def _nonzero(containers: list[Any], inits: list[Any], overhead: Any, pod_level: Any) -> tuple[int, int]:
    def filled(resources: Any) -> dict[str, int]:
        return {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY} | _amounts(resources)

    total = _combine([filled(c[1]) for c in containers], [(filled(c[1]), c[3] == "Always") for c in inits])
    total.update(_amounts(pod_level))
    for name, value in (overhead or {}).items():
        total[name] = total.get(name, 0) + match.amount(value, milli=name == "cpu")
    return total.get("cpu", 0), total.get("memory", 0)
