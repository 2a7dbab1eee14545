"""CronJobs: times, overlap, deadlines, history; a whole day in virtual time."""

import asyncio

import pytest
from workloads_kit import events, in_cluster, items, job, meta, name, patch, settle, status

from kubewheel.controllers import cronjob
from kubewheel.lib import cron
from kubewheel.lib.clock import parse_time, rfc3339

CJ, J = "cronjobs.batch", "jobs.batch"


def at(text):
    return parse_time(f"2026-03-0{text}Z")


def cj(last=None, created="1T10:00:30", **spec):
    out = {"metadata": {"creationTimestamp": rfc3339(at(created))}, "spec": spec}
    if last:
        out["status"] = {"lastScheduleTime": rfc3339(at(last))}
    return out


@pytest.mark.parametrize(
    ("c", "now", "due", "missed"),
    [
        (cj(), "1T10:00:59", None, 0),
        (cj(), "1T10:01:00", "1T10:01:00", 1),
        (cj(), "1T10:03:10", "1T10:03:00", 3),
        (cj(last="1T10:03:00"), "1T10:03:30", None, 0),
        (cj(last="1T10:00:00", startingDeadlineSeconds=90), "1T11:00:05", "1T11:00:00", 2),
        (cj(last="1T10:00:00"), "2T10:00:00", "2T10:00:00", 1440),
    ],
)
def test_what_is_due(c, now, due, missed):
    found = cronjob.due(c, cron.parse("* * * * *"), at(now))
    assert (found.at, found.missed) == (due and at(due), missed)


def cron_job(schedule, *, run=1, **spec):
    made = job("tick", annotations={"run-seconds": run})
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": made["spec"]}, **spec},
    }


async def schedule_times(c):
    return sorted(meta(j)["annotations"][cronjob.SCHEDULED_AT] for j in await items(c, J))


def test_a_day_of_every_five_minutes():
    async def work(c):
        made = cron_job("*/5 * * * *", successfulJobsHistoryLimit=2)
        made["spec"]["jobTemplate"]["spec"]["completions"] = 0  # complete without a pod: the day is about times
        await c.client.create(CJ, made)
        seen = set()
        for _ in range(288):
            await asyncio.sleep(300)
            seen.update(await schedule_times(c))
        await asyncio.sleep(1)
        seen.update(await schedule_times(c))
        assert seen == {rfc3339(parse_time("2026-01-01T00:00:00Z") + 300 * n) for n in range(1, 289)}
        found = await c.client.get(CJ, "tick", namespace="default")
        assert status(found)["lastScheduleTime"] == status(found)["lastSuccessfulTime"] == "2026-01-02T00:00:00Z"
        assert await schedule_times(c) == ["2026-01-01T23:55:00Z", "2026-01-02T00:00:00Z"]

    in_cluster(work, nodes=0, scheduler=False, controllers="cronjob-controller,job-controller")


def test_overlap_forbidden_replaced_allowed():
    async def work(c):
        for policy in ("Forbid", "Replace", "Allow"):
            made = cron_job("* * * * *", run=10_000, concurrencyPolicy=policy)
            made["metadata"]["name"] = policy.lower()
            await c.client.create(CJ, made)
        await asyncio.sleep(200)
        counts = {}
        for j in await items(c, J):
            owner = meta(j)["ownerReferences"][0]["name"]
            counts[owner] = counts.get(owner, 0) + 1
        assert counts == {"forbid": 1, "replace": 1, "allow": 3}
        assert await events(c, "JobAlreadyActive")
        for policy, active in (("forbid", 1), ("replace", 1), ("allow", 3)):
            found = await c.client.get(CJ, policy, namespace="default")
            assert len(status(found)["active"]) == active

    in_cluster(work, nodes=1)


def test_forbidden_time_is_made_up_for():
    async def work(c):
        await c.client.create(CJ, cron_job("* * * * *", run=90, concurrencyPolicy="Forbid"))
        await asyncio.sleep(170)
        # 1:00 runs to 2:30; 2:00 was refused and starts then
        assert await schedule_times(c) == ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]

    in_cluster(work, nodes=1)


def test_suspend_and_history_of_failures():
    async def work(c):
        made = cron_job("* * * * *", failedJobsHistoryLimit=1)
        made["spec"]["jobTemplate"]["spec"]["backoffLimit"] = 0
        made["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"]["kubewheel.dev/exit-code"] = "1"
        await c.client.create(CJ, made)
        await asyncio.sleep(250)
        assert await schedule_times(c) == ["2026-01-01T00:04:00Z"]
        await patch(c, CJ, "tick", suspend=True)
        await asyncio.sleep(300)
        assert await schedule_times(c) == ["2026-01-01T00:04:00Z"]
        await patch(c, CJ, "tick", suspend=False)
        await settle(5)
        found = await c.client.get(CJ, "tick", namespace="default")
        assert status(found)["lastScheduleTime"] == "2026-01-01T00:09:00Z"  # the latest missed one only
        assert "lastSuccessfulTime" not in status(found)

    in_cluster(work, nodes=1)


def test_too_late_is_missed():
    async def work(c):
        await c.client.create(CJ, cron_job("0 1 * * *", suspend=True, startingDeadlineSeconds=60))
        await asyncio.sleep(3600 + 300)
        await patch(c, CJ, "tick", suspend=False)
        await settle(10)
        assert not await items(c, J)

    in_cluster(work, nodes=1)


def test_time_zones():
    async def work(c):
        await c.client.create(CJ, cron_job("30 9 * * *", timeZone="Asia/Tokyo"))  # 00:30 UTC
        await asyncio.sleep(1810)
        (made,) = await items(c, J)
        assert meta(made)["annotations"][cronjob.SCHEDULED_AT] == "2026-01-01T09:30:00+09:00"
        assert name(made) == f"tick-{int(parse_time('2026-01-01T00:30:00Z')) // 60}"

    in_cluster(work, nodes=1)
