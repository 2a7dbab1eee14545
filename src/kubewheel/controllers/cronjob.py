"""CronJobs make Jobs at their times.

In: cronjobs, jobs. Out: jobs, status (active, lastScheduleTime, lastSuccessfulTime). `due` is pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.lib import clock as clocks
from kubewheel.lib import cron
from kubewheel.reconcile import objects, ownership, runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, owner_key, split_key

CRONJOBS, JOBS = "cronjobs.batch", "jobs.batch"
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
TOO_MANY = 100


@dataclass(frozen=True, slots=True)
class Due:
    at: float | None  # the latest unmet time; None where nothing is due
    missed: int  # how many were unmet, the latest included
    next: float | None


def due(cj: Object, schedule: cron.Schedule | cron.Every, now: float) -> Due:
    last = (cj.get("status") or {}).get("lastScheduleTime")
    earliest = clocks.parse_time(last) if last else objects.stamp_of(cj)
    starting = cj["spec"].get("startingDeadlineSeconds")
    if starting is not None:
        earliest = max(earliest, now - starting)
    at, missed = None, 0
    t = schedule.next(earliest)
    while t is not None and t <= now:
        at, missed = t, missed + 1
        if missed > 10_000:  # an old clock: the exact number no longer matters, the latest time does
            at = _latest(schedule, now) or at
            break
        t = schedule.next(t)
    return Due(at, missed, schedule.next(now))


def _latest(schedule: cron.Schedule | cron.Every, now: float) -> float | None:
    t, found = schedule.next(now - 86_400 * 366), None
    while t is not None and t <= now:
        found, t = t, schedule.next(t)
    return found


def finished(job: Object) -> str:
    """ "Complete", "Failed" or ""."""
    return next((t for t in ("Complete", "Failed") if objects.condition_status(job, t) == "True"), "")


def expired(cj: Object, jobs: Sequence[Object]) -> list[Object]:
    """Ended jobs past the history limits, oldest first."""
    out: list[Object] = []
    for type_, field, default in (
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ):
        limit = cj["spec"].get(field, default)
        ended = sorted(
            (j for j in jobs if finished(j) == type_),
            key=lambda j: ((j.get("status") or {}).get("startTime", ""), j["metadata"]["name"]),
        )
        out += ended[: max(len(ended) - limit, 0)]
    return out


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    cached = context.cache(CRONJOBS).get(namespace, name)
    if cached is None:
        return None
    cj = objects.with_kind(cached, "batch/v1", "CronJob")
    mine = ownership.owned(context.cache(JOBS), cj)
    status = dict(cj.get("status") or {})
    await _note_ended(context, cj, mine, status)
    for job in expired(cj, mine):
        if await _delete(context, cj, job):
            mine = [j for j in mine if j is not job]
    again = None if objects.is_terminating(cj) else await _schedule(context, cj, mine, status)
    if status != (cj.get("status") or {}):
        await context.client.update_status(CRONJOBS, {**cj, "status": status})
    return again


async def _note_ended(context: Context, cj: Object, mine: Sequence[Object], status: Object) -> None:
    """status.active follows the jobs; lastSuccessfulTime the completions."""
    active = list(status.get("active") or [])
    listed = {r["uid"] for r in active}
    by_uid = {j["metadata"]["uid"]: j for j in mine}
    kept = []
    for ref in active:
        job = by_uid.get(ref["uid"])
        if job is None:
            live = await context.client.find(JOBS, ref["name"], namespace=cj["metadata"]["namespace"])
            if live is not None and live["metadata"]["uid"] == ref["uid"]:
                kept.append(ref)  # the cache is slow
            else:
                context.events.event(cj, "Normal", "MissingJob", f"Active job went missing: {ref['name']}")
        elif finished(job):
            context.events.event(
                cj,
                "Normal",
                "SawCompletedJob",
                f"Saw completed job: {ref['name']}, condition: {finished(job)}",
            )
        else:
            kept.append(ref)
    for job in mine:
        if finished(job) == "Complete":
            at = (job.get("status") or {}).get("completionTime")
            if at and at > status.get("lastSuccessfulTime", ""):
                status["lastSuccessfulTime"] = at
        elif not finished(job) and job["metadata"]["uid"] not in listed:
            kept.append(_ref(job))
            if not objects.is_terminating(job):
                context.events.event(
                    cj,
                    "Warning",
                    "UnexpectedJob",
                    f"Saw a job that the controller did not create or forgot: {job['metadata']['name']}",
                )
    status.pop("active", None)
    if kept:
        status["active"] = kept


async def _schedule(context: Context, cj: Object, mine: Sequence[Object], status: Object) -> float | None:
    spec, now = cj["spec"], context.clock.now()
    if spec.get("suspend"):
        return None
    try:
        schedule = cron.parse(spec["schedule"], spec.get("timeZone"))
    except cron.CronError as e:
        context.events.event(
            cj, "Warning", "UnparseableSchedule", f"unparseable schedule: {spec['schedule']}: {e}"
        )
        return None
    found = due({**cj, "status": status}, schedule, now)
    again = found.next - now + 0.1 if found.next is not None else None
    if found.missed > TOO_MANY:
        context.events.event(
            cj,
            "Warning",
            "TooManyMissedTimes",
            f"too many missed start times: {found.missed}. Set or decrease "
            ".spec.startingDeadlineSeconds or check clock skew",
        )
    if found.at is None:
        return again
    starting = spec.get("startingDeadlineSeconds")
    if starting is not None and found.at + starting < now:
        context.events.event(
            cj, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {clocks.rfc3339(found.at)}"
        )
        return again
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy == "Forbid" and status.get("active"):
        context.events.event(
            cj,
            "Normal",
            "JobAlreadyActive",
            "Not starting job because prior execution is running and concurrency policy is Forbid",
        )
        return again
    if policy == "Replace":
        for ref in list(status.get("active") or ()):
            job = next((j for j in mine if j["metadata"]["uid"] == ref["uid"]), None)
            if job is not None and not await _delete(context, cj, job):
                return again
        status.pop("active", None)
    made = await _create(context, cj, found.at)
    if made is not None:
        if all(r["uid"] != made["metadata"]["uid"] for r in status.get("active") or ()):
            status["active"] = [*(status.get("active") or []), _ref(made)]
        status["lastScheduleTime"] = clocks.rfc3339(found.at)
    return again


async def _create(context: Context, cj: Object, at: float) -> Object | None:
    job = job_for(cj, at)
    try:
        made = await context.client.create(JOBS, job)
    except errors.StatusError as e:
        if runner.is_terminating(e):
            return None
        if e.reason == "AlreadyExists":  # made by us before a crash or a slow cache
            there = await context.client.get(
                JOBS, job["metadata"]["name"], namespace=job["metadata"]["namespace"]
            )
            return there if ownership.is_controlled_by(there, cj) else None
        context.events.event(cj, "Warning", "FailedCreate", f"Error creating job: {e.message}")
        raise
    context.events.event(cj, "Normal", "SuccessfulCreate", f"Created job {made['metadata']['name']}")
    return made


def job_for(cj: Object, at: float) -> Object:
    """The name says the scheduled minute, so that one time makes one Job."""
    template = cj["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    zone = cron.timezone(cj["spec"].get("timeZone"))
    stamp = dt.datetime.fromtimestamp(at, zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{cj['metadata']['name']}-{int(at) // 60}",
            "namespace": cj["metadata"]["namespace"],
            "labels": dict(meta.get("labels") or {}),
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_AT: stamp},
            "ownerReferences": [ownership.controller_ref(cj, "batch/v1", "CronJob")],
        },
        "spec": codec.copy(template["spec"]),
    }


def _ref(job: Object) -> Object:
    meta = job["metadata"]
    return {
        "kind": "Job",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": meta.get("resourceVersion", ""),
    }


async def _delete(context: Context, cj: Object, job: Object) -> bool:
    name = job["metadata"]["name"]
    try:
        await context.client.delete(
            JOBS,
            name,
            namespace=job["metadata"]["namespace"],
            uid=job["metadata"]["uid"],
            propagation="Background",
        )
    except errors.StatusError as e:
        if e.code == 404:
            return True
        context.events.event(cj, "Warning", "FailedDelete", f"Deleted job: {e.message}")
        return False
    context.events.event(cj, "Normal", "SuccessfulDelete", f"Deleted job {name}")
    return True


def setup(context: Context) -> None:
    ownership.index_by_controller(context.cache(JOBS))


CONTROLLER = Controller(
    name="cronjob-controller",
    reconcile=reconcile,
    setup=setup,
    watches=(Watch(CRONJOBS, own_key), Watch(JOBS, owner_key("CronJob"))),
    rules=(
        rule("batch", "cronjobs", READ + " update"),
        rule("batch", "jobs", READ + " create update delete patch"),
        rule("batch", "cronjobs/status", "update"),
        rule("batch", "cronjobs/finalizers", "update"),
        rule("", "pods", "list delete"),
        events(),
    ),
)
