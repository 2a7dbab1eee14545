"""The next step of a Job. Pure.

In: Job, its pods, now. Out: Plan (pods to make and delete, pods to count, status before counting, verdict).
Called by: job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubewheel.api.resource import Object
from kubewheel.controllers import job_indexes
from kubewheel.lib import clock as clocks
from kubewheel.reconcile import objects

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
CONTROLLER_NAME = "kubernetes.io/job-controller"
BACKOFF, MAX_BACKOFF = 10.0, 600.0
BURST = 500


@dataclass(slots=True)
class Plan:
    create: list[tuple[int | None, int]] = field(
        default_factory=list
    )  # (index, failures of the index so far)
    delete: list[Object] = field(default_factory=list)  # they count as failed once they end
    release: list[Object] = field(default_factory=list)  # to delete too, but never to be counted
    counted: list[Object] = field(default_factory=list)  # pods whose finalizer goes in this pass
    status: Object = field(default_factory=dict)  # written before the finalizers go
    succeeded: int = 0  # to add when they are gone
    failed: int = 0
    succeeded_indexes: set[int] = field(default_factory=set)  # all, for Indexed
    failed_indexes: set[int] = field(default_factory=set)
    final: Object | None = None  # the Complete or Failed condition to set now
    notes: list[tuple[int, str, str]] = field(default_factory=list)  # (0 for a warning, reason, message)
    again: float | None = None


def is_indexed(job: Object) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


def is_finished(job: Object) -> bool:
    return (
        objects.condition_status(job, "Complete") == "True"
        or objects.condition_status(job, "Failed") == "True"
    )


def has_finalizer(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def index_of(pod: Object) -> int:
    text = objects.annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdecimal() else -1


def has_failed(job: Object, pod: Object) -> bool:
    """With a failure policy (or podReplacementPolicy Failed) a terminating pod is judged only when it has
    ended."""
    if objects.phase(pod) == "Failed":
        return True
    return (
        objects.is_terminating(pod)
        and objects.phase(pod) != "Succeeded"
        and not waits_for_end(job)
        and not objects.is_finished(pod)
    )


def waits_for_end(job: Object) -> bool:
    return "podFailurePolicy" in job["spec"] or job["spec"].get("podReplacementPolicy") == "Failed"


def plan(job: Object, owned: Sequence[Object], now: float) -> Plan:
    todo = Plan()
    status = dict(job.get("status") or {})
    conditions = list(status.get("conditions") or [])
    if not status.get("startTime") and not job["spec"].get("suspend"):
        status["startTime"] = clocks.rfc3339(now)
    verdict = _count(job, owned, todo, status)
    active = [p for p in owned if objects.is_active(p) and index_of(p) not in todo.failed_indexes]
    strays = [
        p for p in owned if objects.is_active(p) and index_of(p) in todo.failed_indexes and is_indexed(job)
    ]
    if is_indexed(job):  # spec.completions may have shrunk (elastic Indexed Jobs)
        beyond = [p for p in active if not 0 <= index_of(p) < job["spec"].get("completions", 0)]
        active = [p for p in active if p not in beyond]
        todo.release += beyond
    if verdict is None:
        verdict = _verdict(job, status, active, todo, conditions, now)
    for target in ("FailureTarget", "SuccessCriteriaMet"):
        held = next((c for c in conditions if c["type"] == target and c["status"] == "True"), None)
        if held is not None:
            verdict = (
                "Failed" if target == "FailureTarget" else "Complete",
                held.get("reason", ""),
                held.get("message", ""),
            )
    if verdict is not None:
        conditions = _interim(conditions, verdict, now)
        todo.delete = [p for p in owned if objects.is_active(p)]
        ending = [p for p in owned if objects.is_terminating(p) and not objects.is_finished(p)]
        if not todo.delete and not ending:
            todo.final = {"type": verdict[0], "status": "True", "reason": verdict[1], "message": verdict[2]}
    elif job["spec"].get("suspend"):
        todo.release += active
        if objects.condition_status(job, "Suspended") != "True":
            conditions = _suspended(conditions, True, now)
            todo.notes.append((1, "Suspended", "Job suspended"))
        status.pop("startTime", None)
    else:
        if objects.condition_status(job, "Suspended") == "True":
            conditions = _suspended(conditions, False, now)
            status["startTime"] = clocks.rfc3339(now)
            todo.notes.append((1, "Resumed", "Job resumed"))
        todo.delete = strays
        _manage(job, owned, active, status, todo, now)
    if objects.is_terminating(job):  # only counted from now on: its pods are the garbage collector's
        todo.create, todo.delete, todo.release = [], [], []
    _numbers(job, owned, active, status, todo)
    if conditions:
        status["conditions"] = conditions
    todo.status = status
    return todo


def _count(job: Object, owned: Sequence[Object], todo: Plan, status: Object) -> tuple[str, str, str] | None:
    """Ended pods that still carry the finalizer are counted now. Says why the Job fails, if a pod decides
    that."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    pending = {k: set(uncounted.get(k) or ()) for k in ("succeeded", "failed")}
    todo.succeeded_indexes = job_indexes.parse(status.get("completedIndexes", ""))
    todo.failed_indexes = job_indexes.parse(status.get("failedIndexes", ""))
    verdict = None
    per_index = job["spec"].get("backoffLimitPerIndex")
    fresh_succeeded, fresh_failed = set(pending["succeeded"]), set(pending["failed"])
    for pod in owned:
        if not has_finalizer(pod):
            continue
        uid = pod["metadata"]["uid"]
        if objects.phase(pod) == "Succeeded":
            todo.counted.append(pod)
            if is_indexed(job):
                if (
                    0 <= index_of(pod) < job["spec"].get("completions", 0)
                    and index_of(pod) not in todo.failed_indexes
                ):
                    todo.succeeded_indexes.add(index_of(pod))
            else:
                fresh_succeeded.add(uid)
        elif has_failed(job, pod):
            action, message = job_indexes.failure_action(job, pod)
            todo.counted.append(pod)
            if action == "FailJob" and verdict is None:
                verdict = ("Failed", "PodFailurePolicy", message)
            if action != "Ignore":
                fresh_failed.add(uid)
            if per_index is not None and action != "Ignore":
                if action == "FailIndex" or _index_failures(pod) + 1 > per_index:
                    todo.failed_indexes.add(index_of(pod))
    todo.failed_indexes -= todo.succeeded_indexes
    # Written down earlier and the pod is free already: it is only left to be added up.
    todo.succeeded = len(fresh_succeeded)
    todo.failed = len(fresh_failed)
    listed = {"succeeded": sorted(fresh_succeeded), "failed": sorted(fresh_failed)}
    status["uncountedTerminatedPods"] = {k: v for k, v in listed.items() if v}
    if is_indexed(job):  # indexes say themselves who is counted: written before the finalizers go
        _write_indexes(job, todo, status)
    return verdict


def _index_failures(pod: Object) -> int:
    text = objects.annotations_of(pod).get(INDEX_FAILURES, "0")
    return int(text) if text.isdecimal() else 0


def _verdict(
    job: Object, status: Object, active: Sequence[Object], todo: Plan, conditions: list[Object], now: float
) -> tuple[str, str, str] | None:
    spec = job["spec"]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not spec.get("suspend") and status.get("startTime"):
        left = clocks.parse_time(status["startTime"]) + deadline - now
        if left <= 0:
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        todo.again = left
    failed = status.get("failed", 0) + todo.failed
    restarts = _restarts(job, active)
    per_index = spec.get("backoffLimitPerIndex") is not None
    if failed > spec.get("backoffLimit", 6) or (restarts and restarts >= max(spec.get("backoffLimit", 6), 1)):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if is_indexed(job):
        return _indexed_verdict(job, todo, per_index)
    succeeded = status.get("succeeded", 0) + todo.succeeded
    completions = spec.get("completions")
    if completions is None:
        if succeeded > 0 and not active:
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    elif succeeded >= completions:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    return None


def _indexed_verdict(job: Object, todo: Plan, per_index: bool) -> tuple[str, str, str] | None:
    message = job_indexes.success_message(job, todo.succeeded_indexes)
    if message:
        return "Complete", "SuccessPolicy", message
    completions = job["spec"].get("completions", 0)
    if (
        per_index
        and job["spec"].get("maxFailedIndexes") is not None
        and len(todo.failed_indexes) > job["spec"]["maxFailedIndexes"]
    ):
        return (
            "Failed",
            "MaxFailedIndexesExceeded",
            "Job has exceeded the specified maximal number of failed indexes",
        )
    if len(todo.succeeded_indexes) >= completions:
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if per_index and len(todo.succeeded_indexes) + len(todo.failed_indexes) >= completions:
        return "Failed", "FailedIndexes", "Job has failed indexes"
    return None


def _restarts(job: Object, active: Sequence[Object]) -> int:
    """Containers restarted in place count against the back-off limit where restartPolicy is OnFailure."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return 0
    total = 0
    for pod in active:
        status = pod.get("status") or {}
        for c in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
            total += c.get("restartCount", 0)
    return total


def _interim(conditions: list[Object], verdict: tuple[str, str, str], now: float) -> list[Object]:
    """FailureTarget / SuccessCriteriaMet say the verdict while the last pods end."""
    type_ = "FailureTarget" if verdict[0] == "Failed" else "SuccessCriteriaMet"
    if any(c["type"] == type_ and c["status"] == "True" for c in conditions):
        return conditions
    return [
        *conditions,
        _stamped({"type": type_, "status": "True", "reason": verdict[1], "message": verdict[2]}, now),
    ]


def _stamped(c: Object, now: float) -> Object:
    return {**c, "lastProbeTime": clocks.rfc3339(now), "lastTransitionTime": clocks.rfc3339(now)}


def _suspended(conditions: list[Object], on: bool, now: float) -> list[Object]:
    c = _stamped(
        {
            "type": "Suspended",
            "status": "True" if on else "False",
            "reason": "JobSuspended" if on else "JobResumed",
            "message": "Job suspended" if on else "Job resumed",
        },
        now,
    )
    return [*objects.without_condition(conditions, "Suspended"), c]


def _manage(
    job: Object, owned: Sequence[Object], active: Sequence[Object], status: Object, todo: Plan, now: float
) -> None:
    """How many pods should be active, and which to make or end."""
    spec = job["spec"]
    parallelism = spec.get("parallelism", 1)
    ending = (
        [p for p in owned if objects.is_terminating(p) and not objects.is_finished(p)]
        if waits_for_end(job)
        else []
    )
    if is_indexed(job):
        done = todo.succeeded_indexes | todo.failed_indexes
        left = spec.get("completions", 0) - len(done)
        wanted = min(parallelism, left)
    elif spec.get("completions") is None:
        succeeded = status.get("succeeded", 0) + todo.succeeded
        wanted = len(active) if succeeded > 0 else parallelism
    else:
        wanted = min(parallelism, spec["completions"] - status.get("succeeded", 0) - todo.succeeded)
    duplicates = _duplicates(active) if is_indexed(job) else []
    alive = [p for p in active if p not in duplicates]
    todo.release += duplicates
    if len(alive) > wanted:
        ranked = sorted(
            alive, key=lambda p: (bool(p["spec"].get("nodeName")), objects.is_ready(p), -objects.stamp_of(p))
        )
        todo.release += ranked[: len(alive) - max(wanted, 0)]
        return
    missing = min(wanted - len(alive) - len(ending), BURST)
    if missing <= 0:
        return
    if spec.get("backoffLimitPerIndex") is None:
        wait = backoff_left(owned, now)
        if wait > 0:
            _again(todo, wait)
            return
    if not is_indexed(job):
        todo.create = [(None, 0)] * missing
        return
    taken = {index_of(p) for p in (*alive, *ending)} | todo.succeeded_indexes | todo.failed_indexes
    free = [i for i in range(spec.get("completions", 0)) if i not in taken]
    if spec.get("backoffLimitPerIndex") is not None:  # each index has its own back-off
        waits = {i: backoff_left([p for p in owned if index_of(p) == i], now) for i in _ended(owned)}
        free = [i for i in free if not waits.get(i)]
        if left := [w for w in waits.values() if w > 0]:
            _again(todo, min(left))
    todo.create = [(i, _failures_of(owned, i)) for i in free[:missing]]


def _ended(owned: Sequence[Object]) -> set[int]:
    return {index_of(p) for p in owned if objects.is_finished(p)}


def _again(todo: Plan, wait: float) -> None:
    todo.again = wait if todo.again is None else min(todo.again, wait)


def _duplicates(active: Sequence[Object]) -> list[Object]:
    """Two pods of one index: the younger goes."""
    seen: set[int] = set()
    out = []
    for pod in sorted(
        active, key=lambda p: (p["metadata"].get("creationTimestamp", ""), p["metadata"]["name"])
    ):
        if index_of(pod) in seen:
            out.append(pod)
        seen.add(index_of(pod))
    return out


def _failures_of(owned: Sequence[Object], index: int) -> int:
    found = [
        _index_failures(p) + 1
        for p in owned
        if index_of(p) == index and (objects.phase(p) == "Failed" or objects.is_terminating(p))
    ]
    return max(found, default=0)


def backoff_left(owned: Sequence[Object], now: float) -> float:
    """10 s, doubling with each failure in a row (since the last success), at most 10 min."""
    ends = sorted(
        ((finish_time(p, now), objects.phase(p) == "Succeeded") for p in owned if objects.is_finished(p)),
        reverse=True,
    )
    failures, last = 0, 0.0
    for at, ok in ends:
        if ok:
            break
        failures += 1
        last = max(last, at)
    if failures == 0:
        return 0.0
    return max(last + min(BACKOFF * 2 ** min(failures - 1, 20), MAX_BACKOFF) - now, 0.0)


def finish_time(pod: Object, now: float) -> float:
    status = pod.get("status") or {}
    stamps = [
        c["state"]["terminated"]["finishedAt"]
        for c in status.get("containerStatuses") or ()
        if (c.get("state") or {}).get("terminated", {}).get("finishedAt")
    ]
    if stamps:
        return max(clocks.parse_time(s) for s in stamps)
    ready = objects.condition(pod, "Ready")
    if ready is not None and ready.get("lastTransitionTime"):
        return clocks.parse_time(ready["lastTransitionTime"])
    return objects.stamp_of(pod, "deletionTimestamp") or objects.stamp_of(pod)


def _numbers(
    job: Object, owned: Sequence[Object], active: Sequence[Object], status: Object, todo: Plan
) -> None:
    gone = {p["metadata"]["uid"] for p in (*todo.delete, *todo.release)}
    left = [p for p in owned if objects.is_active(p) and p["metadata"]["uid"] not in gone]
    status["ready"] = sum(1 for p in left if objects.is_ready(p))
    count = len(left) + len(todo.create)
    status.pop("active", None)
    if count:
        status["active"] = count
    status["terminating"] = sum(
        1
        for p in owned
        if not objects.is_finished(p) and (objects.is_terminating(p) or p["metadata"]["uid"] in gone)
    )


def settle(job: Object, todo: Plan, now: float) -> Object:
    """The status once the finalizers are gone: the uncounted are counted, the verdict is written."""
    status = dict(job.get("status") or {})
    status["uncountedTerminatedPods"] = {}
    failed = status.get("failed", 0) + todo.failed
    succeeded = status.get("succeeded", 0) if is_indexed(job) else status.get("succeeded", 0) + todo.succeeded
    for name, value in (("failed", failed), ("succeeded", succeeded)):
        if value:
            status[name] = value
    if todo.final is not None:
        status["conditions"] = [*(status.get("conditions") or []), _stamped(todo.final, now)]
        status["ready"] = 0
        if todo.final["type"] == "Complete":
            status["completionTime"] = clocks.rfc3339(now)
    return status


def _write_indexes(job: Object, todo: Plan, status: Object) -> None:
    if todo.succeeded_indexes:
        status["completedIndexes"] = job_indexes.render(todo.succeeded_indexes)
        status["succeeded"] = len(todo.succeeded_indexes)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        status["failedIndexes"] = job_indexes.render(todo.failed_indexes)
