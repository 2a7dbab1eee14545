"""A Deployment's status and conditions, as `kubectl rollout status` reads them. Pure.

In: Deployment, its ReplicaSets, now. Out: status dict, seconds until the progress deadline must be looked
at again.
Called by: deployment/controller.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api.resource import Object
from kubewheel.controllers.deployment import plan
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
NO_DEADLINE = 2**31 - 1


def deadline(d: Object) -> int | None:
    seconds = d["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, NO_DEADLINE) else seconds


def condition(type_: str, status: str, reason: str, message: str) -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def with_condition(conditions: Sequence[Object], new: Object, now: float) -> list[Object]:
    """Same status and reason: nothing changes. Same status: the transition time stays."""
    stamp = clocks.rfc3339(now)
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    if old is not None and old["status"] == new["status"] and old.get("reason") == new["reason"]:
        return list(conditions)
    same = old is not None and old["status"] == new["status"]
    made = {
        **new,
        "lastUpdateTime": stamp,
        "lastTransitionTime": old.get("lastTransitionTime", stamp) if same and old else stamp,
    }
    return [*objects.without_condition(conditions, new["type"]), made]


def find(conditions: Sequence[Object], type_: str) -> Object | None:
    return next((c for c in conditions if c["type"] == type_), None)


def counts(
    d: Object, new: Object | None, every: Sequence[Object], conditions: Sequence[Object], now: float
) -> Object:
    """The numbers and the Available condition."""
    old = d.get("status") or {}

    def added(name: str) -> int:
        return sum((rs.get("status") or {}).get(name, 0) for rs in every)

    ready, available = added("readyReplicas"), added("availableReplicas")
    values = {
        "observedGeneration": d["metadata"].get("generation", 0),
        "replicas": added("replicas"),
        "updatedReplicas": ((new or {}).get("status") or {}).get("replicas", 0),
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(plan.total(every) - available, 0),
    }
    status = {k: v for k, v in values.items() if v}
    status["terminatingReplicas"] = added("terminatingReplicas")
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    if available >= plan.size(d) - plan.max_unavailable(d):
        c = condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        c = condition(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    status["conditions"] = with_condition(conditions, c, now)
    return status


def is_complete(d: Object, status: Object) -> bool:
    wanted = plan.size(d)
    return (
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= d["metadata"].get("generation", 0)
    )


def is_progressing(d: Object, status: Object) -> bool:
    old = d.get("status") or {}

    def outdated(s: Object) -> int:
        return s.get("replicas", 0) - s.get("updatedReplicas", 0)

    return (
        status.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or outdated(status) < outdated(old)
        or status.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or status.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def is_timed_out(d: Object, conditions: Sequence[Object], now: float) -> bool:
    seconds, c = deadline(d), find(conditions, "Progressing")
    if seconds is None or c is None or c.get("reason") == NEW_AVAILABLE:
        return False
    if c.get("reason") == TIMED_OUT:
        return True
    return clocks.parse_time(c["lastUpdateTime"]) + seconds < now


def rollout(
    d: Object, new: Object | None, every: Sequence[Object], conditions: Sequence[Object], now: float
) -> tuple[Object, float | None]:
    """The whole status during a rollout, and when to look again."""
    status = counts(d, new, every, conditions, now)
    found = list(status["conditions"])
    if deadline(d) is None:
        found = objects.without_condition(found, "Progressing")
    current = find(found, "Progressing")
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and current is not None
        and current.get("reason") == NEW_AVAILABLE
    )
    if deadline(d) is not None and not settled:
        found = _progress(d, new, status, found, current, now)
    found = objects.without_condition(found, "ReplicaFailure")
    failure = next(
        (
            c
            for rs in ([new] if new else []) + list(every)
            if (c := objects.condition(rs, "ReplicaFailure")) is not None
        ),
        None,
    )
    if failure is not None:
        old = find(status["conditions"], "ReplicaFailure")
        stamp = clocks.rfc3339(now)
        found.append({**failure, "lastUpdateTime": old.get("lastUpdateTime", stamp) if old else stamp})
    status["conditions"] = found
    return status, _look_again(d, status, found, now)


def _progress(
    d: Object, new: Object | None, status: Object, found: list[Object], current: Object | None, now: float
) -> list[Object]:
    what = f'ReplicaSet "{plan.name_of(new)}"' if new is not None else f'Deployment "{d["metadata"]["name"]}"'
    if is_complete(d, status):
        c = condition("Progressing", "True", NEW_AVAILABLE, f"{what} has successfully progressed.")
        return with_condition(found, c, now)
    if is_progressing(d, status):
        c = condition("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.")
        stamp = clocks.rfc3339(now)
        if (
            current is not None
        ):  # written again even if equal: lastUpdateTime is what the deadline counts from
            kept = current["lastTransitionTime"] if current["status"] == "True" else stamp
            return [
                *objects.without_condition(found, "Progressing"),
                {**c, "lastUpdateTime": stamp, "lastTransitionTime": kept},
            ]
        return with_condition(found, c, now)
    if is_timed_out(d, found, now):
        c = condition("Progressing", "False", TIMED_OUT, f"{what} has timed out progressing.")
        return with_condition(found, c, now)
    return found


def _look_again(d: Object, status: Object, conditions: Sequence[Object], now: float) -> float | None:
    seconds, c = deadline(d), find(conditions, "Progressing")
    if seconds is None or c is None or is_complete(d, status) or is_timed_out(d, conditions, now):
        return None
    return max(clocks.parse_time(c["lastUpdateTime"]) + seconds - now, 0.0) + 1.0


def paused_condition(d: Object, now: float) -> list[Object] | None:
    """New conditions where pausing or resuming must be noted, so that the deadline does not run meanwhile."""
    conditions = (d.get("status") or {}).get("conditions") or []
    if deadline(d) is None:
        return None
    c = find(conditions, "Progressing")
    if c is not None and c.get("reason") == TIMED_OUT:
        return None
    noted = c is not None and c.get("reason") == "DeploymentPaused"
    paused = bool(d["spec"].get("paused"))
    if paused and not noted:
        return with_condition(
            conditions, condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"), now
        )
    if not paused and noted:
        return with_condition(
            conditions, condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"), now
        )
    return None
