"""The next step of a StatefulSet. Pure.

In: StatefulSet and Pod dicts, the two revisions' names. Out: pods to make, delete, fix; the status.
Called by: statefulset. Rules: one at a time and in order unless podManagementPolicy is Parallel; nothing
is done about
pod N+1 while a pod before it is not ready; rolling updates go down from the highest ordinal to the partition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.reconcile import objects, pods
from kubewheel.reconcile.ownership import controller_ref

HASH = "controller-revision-hash"
NAME_LABEL, INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
NAME = re.compile(r"^(.*)-([0-9]+)$")


@dataclass(slots=True)
class Plan:
    create: list[tuple[int, str]] = field(default_factory=list)  # (ordinal, revision name)
    delete: list[Object] = field(default_factory=list)
    fix: list[Object] = field(default_factory=list)  # identity labels missing


def ordinal_of(pod: Object) -> int | None:
    found = NAME.match(pod["metadata"]["name"])
    return int(found.group(2)) if found else None


def parent_of(pod: Object) -> str:
    found = NAME.match(pod["metadata"]["name"])
    return found.group(1) if found else ""


def start_of(s: Object) -> int:
    return (s["spec"].get("ordinals") or {}).get("start", 0)


def range_of(s: Object) -> range:
    return range(start_of(s), start_of(s) + s["spec"].get("replicas", 1))


def partition_of(s: Object) -> int:
    return ((s["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0


def is_rolling(s: Object) -> bool:
    return (s["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def max_unavailable(s: Object) -> int:
    value = ((s["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("maxUnavailable")
    return 1 if value is None else max(objects.scaled(value, s["spec"].get("replicas", 1), round_up=True), 1)


def revision_for(s: Object, ordinal: int, current: str, update: str) -> str:
    """A pod made anew below the partition gets the current revision, else the update revision."""
    if not is_rolling(s):
        return update
    status = s.get("status") or {}
    if ordinal < start_of(s) + partition_of(s):
        return current
    in_current = status.get("currentReplicas", 0)
    no_partition = (s["spec"].get("updateStrategy") or {}).get("rollingUpdate") is None
    return current if no_partition and ordinal < start_of(s) + in_current else update


def plan(s: Object, owned: Sequence[Object], current: str, update: str, now: float) -> Plan:
    todo = Plan()
    wanted = range_of(s)
    ordered = s["spec"].get("podManagementPolicy", "OrderedReady") != "Parallel"
    by_ordinal = {n: p for p in owned if (n := ordinal_of(p)) is not None}
    min_ready = s["spec"].get("minReadySeconds", 0)
    for n in wanted:
        pod = by_ordinal.get(n)
        if pod is None:
            todo.create.append((n, revision_for(s, n, current, update)))
            if ordered:
                return todo
            continue
        if objects.is_finished(pod) and not objects.is_terminating(pod):
            todo.delete.append(pod)  # it is made again once it is gone
            if ordered:
                return todo
            continue
        if objects.labels_of(pod).get(NAME_LABEL) != pod["metadata"]["name"] and not objects.is_terminating(
            pod
        ):
            todo.fix.append(pod)
        if ordered and (objects.is_terminating(pod) or not objects.is_available(pod, min_ready, now)):
            return todo  # upstream waits too: a broken pod is repaired by hand, or deleted
    condemned = sorted((n for n in by_ordinal if n not in wanted), reverse=True)
    if condemned:
        _scale_down(todo, by_ordinal, condemned, ordered, min_ready, now)
        if ordered:
            return todo
    if is_rolling(s):
        _update(todo, s, by_ordinal, update, min_ready, now)
    return todo


def _scale_down(
    todo: Plan,
    by_ordinal: dict[int, Object],
    condemned: list[int],
    ordered: bool,
    min_ready: int,
    now: float,
) -> None:
    """From the highest down. In order nothing goes while a lower one is unhealthy, for it may need the others;
    the lowest unhealthy one itself may go."""
    unhealthy = [n for n in condemned if not _is_healthy(by_ordinal[n], min_ready, now)]
    for n in condemned:
        pod = by_ordinal[n]
        if objects.is_terminating(pod):
            if ordered:
                return
            continue
        if ordered and n in unhealthy and n != unhealthy[-1]:
            return
        todo.delete.append(pod)
        if ordered:
            return


def _is_healthy(pod: Object, min_ready: int, now: float) -> bool:
    return not objects.is_terminating(pod) and objects.is_available(pod, min_ready, now)


def _update(
    todo: Plan, s: Object, by_ordinal: dict[int, Object], update: str, min_ready: int, now: float
) -> None:
    """Highest ordinal first; waits for each to be healthy again before the next."""
    limit = max_unavailable(s)
    replicas = sorted((n for n in by_ordinal if n in range_of(s)), reverse=True)
    sick = {n for n in replicas if not _is_healthy(by_ordinal[n], min_ready, now)}
    missing = len(range_of(s)) - len(replicas)
    # One at a time waits only for the pods above; more at a time must count all that are down.
    down = len(sick) + missing if limit > 1 else 0
    for n in replicas:
        if n < start_of(s) + partition_of(s):
            return
        pod = by_ordinal[n]
        old = objects.labels_of(pod).get(HASH) != update and not objects.is_terminating(pod)
        if old and n in sick and limit > 1:
            todo.delete.append(pod)  # it is down already
        elif old:
            if down >= limit:
                return
            todo.delete.append(pod)
            down += 1
        elif n in sick and limit == 1:
            return


def identity_labels(name: str, ordinal: int) -> dict[str, str]:
    return {NAME_LABEL: name, INDEX_LABEL: str(ordinal)}


def pod_for(s: Object, ordinal: int, revision: str, template: Object) -> Object:
    meta = s["metadata"]
    name = f"{meta['name']}-{ordinal}"
    pod = pods.from_template(template, s, "apps/v1", "StatefulSet", name=name)
    pod["metadata"].setdefault("labels", {}).update({**identity_labels(name, ordinal), HASH: revision})
    pod["spec"]["hostname"] = name
    if s["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = s["spec"]["serviceName"]
    templates = {t["metadata"]["name"] for t in s["spec"].get("volumeClaimTemplates") or ()}
    volumes = [v for v in pod["spec"].get("volumes") or () if v["name"] not in templates]
    volumes += [
        {"name": t, "persistentVolumeClaim": {"claimName": claim_name(s, t, ordinal)}}
        for t in sorted(templates)
    ]
    if volumes:
        pod["spec"]["volumes"] = volumes
    return pod


def claim_name(s: Object, template: str, ordinal: int) -> str:
    return f"{template}-{s['metadata']['name']}-{ordinal}"


def claims_for(s: Object, ordinal: int) -> list[Object]:
    out = []
    for template in s["spec"].get("volumeClaimTemplates") or ():
        claim = codec.copy({k: v for k, v in template.items() if k != "status"})
        meta = claim["metadata"]
        meta["name"], meta["namespace"] = claim_name(s, meta["name"], ordinal), s["metadata"]["namespace"]
        meta.setdefault("labels", {}).update(s["spec"]["selector"].get("matchLabels") or {})
        meta.pop("creationTimestamp", None)
        claim |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        if policy(s)[0] == "Delete":
            meta["ownerReferences"] = [{**controller_ref(s, "apps/v1", "StatefulSet")}]
        out.append(claim)
    return out


def policy(s: Object) -> tuple[str, str]:
    """(whenDeleted, whenScaled)."""
    value = s["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return value.get("whenDeleted", "Retain"), value.get("whenScaled", "Retain")


def has_retention(s: Object) -> bool:
    return bool(s["spec"].get("volumeClaimTemplates")) and "persistentVolumeClaimRetentionPolicy" in s["spec"]


def claim_owners(s: Object, pod: Object, ordinal: int, refs: list[Object]) -> list[Object] | None:
    """The owner references a claim should have; None where it has them."""
    deleted, scaled = policy(s)
    condemned = ordinal not in range_of(s)
    set_uid, pod_uid = s["metadata"]["uid"], pod["metadata"]["uid"]
    others = [r for r in refs if r["uid"] not in (set_uid, pod_uid)]
    if any(r.get("controller") for r in others):
        return None  # another's
    wanted = list(others)
    if condemned and scaled == "Delete":
        wanted.append(controller_ref(pod, "v1", "Pod"))
    elif deleted == "Delete":
        wanted.append(controller_ref(s, "apps/v1", "StatefulSet"))
    return None if {r["uid"] for r in wanted} == {r["uid"] for r in refs} else wanted


def status_of(s: Object, owned: Sequence[Object], current: str, update: str, now: float) -> Object:
    old = s.get("status") or {}
    min_ready = s["spec"].get("minReadySeconds", 0)
    alive = [p for p in owned if objects.phase(p) or p["metadata"].get("uid")]
    live = [p for p in alive if not objects.is_terminating(p)]
    ready = [p for p in alive if objects.phase(p) == "Running" and objects.is_ready(p)]

    def of(revision: str) -> int:
        return sum(1 for p in live if objects.labels_of(p).get(HASH) == revision)

    updated = of(update)
    replicas = s["spec"].get("replicas", 1)
    if current != update and is_rolling(s) and updated == replicas == len(alive) == len(ready):
        current = update  # the roll-out is done
    status: Object = {
        "observedGeneration": s["metadata"].get("generation", 0),
        "replicas": len(alive),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for p in alive if objects.is_available(p, min_ready, now)),
        "currentReplicas": of(current),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": old.get("collisionCount", 0),
    }
    for name in ("readyReplicas", "currentReplicas", "updatedReplicas"):
        if not status[name]:
            del status[name]
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return status
