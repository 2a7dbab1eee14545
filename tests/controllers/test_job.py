"""Jobs: counting, indexes, policies, limits, suspension; most of it against a cluster in virtual time."""

import asyncio

import pytest
from workloads_kit import (
    condition,
    conditions,
    events,
    in_cluster,
    items,
    job,
    meta,
    name,
    patch,
    pods,
    settle,
    status,
    until,
)

from kubewheel.controllers import job_indexes, job_plan
from kubewheel.lib.clock import rfc3339

J = "jobs.batch"
NOW = 1_800_000_000.0
LONG = {"run-seconds": 100000}


@pytest.mark.parametrize("text", ["", "0", "0,1", "0-2", "1,3-5,7", "2,4,6-9"])
def test_index_texts_come_back(text):
    assert job_indexes.render(job_indexes.parse(text)) == text


def ended(n, phase, ago, index=None):
    out = {
        "metadata": {
            "name": f"p{n}",
            "uid": f"u{n}",
            "namespace": "default",
            "finalizers": [job_plan.FINALIZER],
            "creationTimestamp": rfc3339(NOW - ago - 5),
        },
        "spec": {},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": "c", "state": {"terminated": {"exitCode": 1, "finishedAt": rfc3339(NOW - ago)}}}
            ],
        },
    }
    if index is not None:
        out["metadata"]["annotations"] = {job_plan.INDEX: str(index)}
    return out


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ([], 0),
        ([("Failed", 4)], 6),
        ([("Failed", 40), ("Failed", 4)], 16),
        ([("Failed", 40), ("Succeeded", 20), ("Failed", 4)], 6),
        ([("Failed", 40), ("Succeeded", 4)], 0),
        ([("Failed", 1000 + i) for i in range(12)] + [("Failed", 0)], 600),
    ],
)
def test_back_off(ends, left):
    assert job_plan.backoff_left([ended(i, *e) for i, e in enumerate(ends)], NOW) == left


@pytest.mark.parametrize(
    ("spec", "have", "create"),
    [
        ({"parallelism": 2}, [], 2),
        ({"parallelism": 2, "completions": 1}, [], 1),
        ({"parallelism": 3, "completions": 5}, [ended(0, "Succeeded", 5)] * 1, 3),
        ({"parallelism": 3, "completions": 2}, [ended(0, "Succeeded", 5)], 1),
        ({"parallelism": 0, "completions": 2}, [], 0),
        ({"parallelism": 2, "completions": 2, "suspend": True}, [], 0),
    ],
)
def test_how_many_are_made(spec, have, create):
    made = {
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"backoffLimit": 6, "template": {"spec": {"restartPolicy": "Never"}}, **spec},
    }
    assert len(job_plan.plan(made, have, NOW).create) == create


def test_a_job_that_is_deleted_makes_nothing_more():
    made = {
        "metadata": {"name": "j", "namespace": "default", "deletionTimestamp": rfc3339(NOW)},
        "spec": {"parallelism": 2, "completions": 2, "template": {"spec": {}}},
    }
    assert job_plan.plan(made, [], NOW).create == []


async def done(c, name="j", timeout=600.0):
    return await c.wait_for(
        J,
        name,
        lambda j: {"Complete", "Failed"} & {k for k, (s, _) in conditions(j).items() if s == "True"},
        timeout=timeout,
    )


async def held(c, name="j"):
    return [p for p in await pods(c, name) if job_plan.FINALIZER in (meta(p).get("finalizers") or ())]


def run_job(check, *, prepare=None, **spec):
    async def work(c):
        await c.client.create(J, job("j", **spec))
        if prepare is not None:
            await prepare(c)
        await check(c)

    in_cluster(work)


def node_of(c, pod):
    return next(n for n in c.nodes if n.name == pod["spec"]["nodeName"])


async def running(c, n, app="j"):
    async def check():
        found = [
            p for p in await pods(c, app) if status(p).get("phase") == "Running" and "deletionTimestamp" not in meta(p)
        ]
        return sorted(found, key=name) if len(found) == n else None

    return await until(c, check, what=f"{n} running pods")


def test_indexed_pods_know_their_index():
    async def check(c):
        j = await done(c)
        assert (status(j)["succeeded"], status(j)["completedIndexes"]) == (3, "0-2")
        found = {meta(p)["annotations"][job_plan.INDEX]: p for p in await pods(c, "j")}
        assert sorted(found) == ["0", "1", "2"]
        for index, pod in found.items():
            assert meta(pod)["labels"][job_plan.INDEX] == index
            assert pod["spec"]["hostname"] == f"j-{index}" and name(pod).startswith(f"j-{index}-")
            env = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in pod["spec"]["containers"][0]["env"]}
            assert env["JOB_COMPLETION_INDEX"] == f"metadata.annotations['{job_plan.INDEX}']"

    run_job(check, completionMode="Indexed", completions=3, parallelism=2)


def test_backoff_limit_fails_the_job():
    async def check(c):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        j = await done(c)
        assert conditions(j) == {
            "FailureTarget": ("True", "BackoffLimitExceeded"),
            "Failed": ("True", "BackoffLimitExceeded"),
        }
        assert condition(j, "Failed")["message"] == "Job has reached the specified backoff limit"
        assert status(j)["failed"] == 3 and not status(j).get("active") and status(j)["ready"] == 0
        assert 28 < loop.time() - begun < 45  # 10 s, then 20 s between the attempts
        assert not await held(c)

    run_job(check, backoffLimit=2, annotations={"exit-code": 1})


def test_restarts_in_place_count_too():
    async def check(c):
        j = await done(c)
        assert condition(j, "Failed")["reason"] == "BackoffLimitExceeded"
        assert len(await events(c, "SuccessfulCreate")) == 1

    run_job(check, backoffLimit=2, restart="OnFailure", annotations={"exit-code": 1})


def test_active_deadline():
    async def check(c):
        j = await done(c)
        assert condition(j, "Failed")["reason"] == "DeadlineExceeded"
        assert not status(j).get("active") and status(j)["terminating"] == 0
        assert all("deletionTimestamp" in meta(p) for p in await pods(c, "j"))

    run_job(check, activeDeadlineSeconds=10, parallelism=2, completions=2, annotations=LONG)


def test_suspended_from_the_start_then_resumed_and_suspended_again():
    async def check(c):
        await c.wait_for(J, "j", lambda j: conditions(j).get("Suspended") == ("True", "JobSuspended"))
        await settle(5)
        assert not await pods(c, "j")
        await patch(c, J, "j", suspend=False)
        await running(c, 2)
        j = await c.wait_for(J, "j", lambda j: conditions(j).get("Suspended") == ("False", "JobResumed"))
        assert status(j)["startTime"] and status(j)["active"] == 2
        await patch(c, J, "j", suspend=True)

        async def empty():
            return not await pods(c, "j")

        await until(c, empty)
        j = await c.wait_for(J, "j", lambda j: conditions(j)["Suspended"][0] == "True" and not status(j).get("active"))
        # what the controller ends itself is no failure, and the clock stands still
        assert not status(j).get("failed") and "startTime" not in status(j)

    run_job(check, suspend=True, parallelism=2, completions=2, annotations=LONG)


def test_scaled_down_pods_are_no_failures():
    async def check(c):
        await running(c, 3)
        await patch(c, J, "j", parallelism=1)
        await running(c, 1)
        j = await c.wait_for(J, "j", lambda j: status(j).get("active") == 1 and not status(j).get("terminating"))
        assert not status(j).get("failed")

    run_job(check, parallelism=3, completions=3, annotations=LONG)


def test_a_deleted_pod_is_counted_and_replaced():
    async def check(c):
        (pod,) = await running(c, 1)
        await c.client.delete("pods", name(pod), namespace="default")
        await c.wait_for(J, "j", lambda j: status(j).get("failed") == 1 and status(j).get("active") == 1, timeout=60)
        (new,) = await running(c, 1)
        assert name(new) != name(pod)

    run_job(check, annotations=LONG)


@pytest.mark.parametrize(
    ("policy", "phase", "create", "failed", "terminating"),
    [("TerminatingOrFailed", "Running", 1, 1, 1), ("Failed", "Running", 0, 0, 1), ("Failed", "Failed", 1, 1, 0)],
)
def test_when_a_terminating_pod_is_replaced(policy, phase, create, failed, terminating):
    made = {
        "metadata": {"name": "j", "namespace": "default"},
        "status": {"startTime": rfc3339(NOW - 900)},
        "spec": {
            "backoffLimit": 6,
            "podReplacementPolicy": policy,
            "parallelism": 1,
            "completions": 1,
            "template": {"spec": {"restartPolicy": "Never"}},
        },
    }
    pod = ended(0, phase, 300)
    pod["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    todo = job_plan.plan(made, [pod], NOW)
    assert (len(todo.create), todo.failed, todo.status["terminating"]) == (create, failed, terminating)


FAIL_JOB = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}


def test_failure_policy_fails_the_job_at_once():
    async def check(c):
        j = await done(c)
        found = condition(j, "Failed")
        assert (found["reason"], status(j)["failed"]) == ("PodFailurePolicy", 1)
        pod = (await pods(c, "j"))[0]
        assert found["message"] == (
            f"Container c for pod default/{name(pod)} failed with exit code 42 matching FailJob rule at index 0"
        )

    run_job(check, podFailurePolicy=FAIL_JOB, annotations={"exit-code": 42})


def test_failure_policy_ignores_disruptions():
    async def check(c):
        (pod,) = await running(c, 1)
        marked = {
            **status(pod),
            "conditions": [*status(pod)["conditions"], {"type": "DisruptionTarget", "status": "True"}],
        }
        await c.client.update_status("pods", {**pod, "status": marked})
        node_of(c, pod).fail_pod("default", name(pod))
        (new,) = await running(c, 1)
        assert name(new) != name(pod)
        j = await c.client.get(J, "j", namespace="default")
        assert not status(j).get("failed") and not condition(j, "Failed")

    ignore = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    run_job(check, podFailurePolicy=ignore, backoffLimit=0, annotations=LONG)


def test_backoff_limit_per_index():
    async def check(c):
        for _ in range(2):  # index 0 fails twice, index 1 and 2 run on
            pod = next(p for p in await running(c, 3) if meta(p)["annotations"][job_plan.INDEX] == "0")
            expected = "0" if _ == 0 else "1"
            assert meta(pod)["annotations"][job_plan.INDEX_FAILURES] == expected
            node_of(c, pod).crash("default", name(pod))
            await settle(1)
        for pod in await running(c, 2):
            node_of(c, pod).crash("default", name(pod), exit_code=0)
        j = await done(c)
        assert (status(j)["failedIndexes"], status(j)["completedIndexes"]) == ("0", "1,2")
        assert (condition(j, "Failed")["reason"], condition(j, "Failed")["message"]) == (
            "FailedIndexes",
            "Job has failed indexes",
        )
        assert (status(j)["failed"], status(j)["succeeded"]) == (2, 2)

    run_job(check, completionMode="Indexed", completions=3, parallelism=3, backoffLimitPerIndex=1, annotations=LONG)


def test_max_failed_indexes():
    async def check(c):
        j = await done(c)
        assert condition(j, "Failed")["reason"] == "MaxFailedIndexesExceeded"

    run_job(
        check,
        completionMode="Indexed",
        completions=4,
        parallelism=4,
        backoffLimitPerIndex=0,
        maxFailedIndexes=1,
        annotations={"exit-code": 1},
    )


def test_fail_index_action():
    async def check(c):
        j = await done(c)
        assert status(j)["failedIndexes"] == "0,1" and status(j)["failed"] == 2

    policy = {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [7]}}]}
    run_job(
        check,
        completionMode="Indexed",
        completions=2,
        parallelism=2,
        backoffLimitPerIndex=5,
        podFailurePolicy=policy,
        annotations={"exit-code": 1},
    )


@pytest.mark.parametrize(
    "rule", [{"succeededIndexes": "0"}, {"succeededCount": 1}, {"succeededIndexes": "0-1", "succeededCount": 1}]
)
def test_success_policy(rule):
    async def check(c):
        found = await running(c, 3)
        pod = next(p for p in found if meta(p)["annotations"][job_plan.INDEX] == "0")
        node_of(c, pod).crash("default", name(pod), exit_code=0)
        j = await done(c)
        assert conditions(j) == {"SuccessCriteriaMet": ("True", "SuccessPolicy"), "Complete": ("True", "SuccessPolicy")}
        assert condition(j, "Complete")["message"] == "Matched rules at index 0"
        assert status(j)["completedIndexes"] == "0" and status(j)["completionTime"]

    run_job(
        check, completionMode="Indexed", completions=3, parallelism=3, successPolicy={"rules": [rule]}, annotations=LONG
    )


def test_another_managers_job_is_left_alone():
    async def check(c):
        await settle(5)
        assert not await pods(c, "j") and not status(await c.client.get(J, "j", namespace="default"))

    run_job(check, managedBy="example.com/other")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_job_lets_its_pods_go(propagation):
    async def check(c):
        await running(c, 2)
        await c.client.delete(J, "j", namespace="default", propagation=propagation)
        await c.wait_gone(J, "j")

        async def none_left():
            return not await pods(c, "j")

        await until(c, none_left)

    run_job(check, parallelism=2, completions=2, annotations=LONG)


def test_orphaned_pods_are_adopted_and_strays_released():
    async def check(c):
        (pod,) = await running(c, 1)
        await c.client.patch("pods", name(pod), {"metadata": {"ownerReferences": None}}, namespace="default")
        await c.wait_for("pods", name(pod), lambda p: meta(p).get("ownerReferences"))
        gone = {"metadata": {"labels": {k: None for k in meta(pod)["labels"]}}}
        await c.client.patch("pods", name(pod), gone, namespace="default")
        free = await c.wait_for("pods", name(pod), lambda p: not meta(p).get("ownerReferences"))
        assert job_plan.FINALIZER not in (meta(free).get("finalizers") or ())

    run_job(check, annotations=LONG)


def test_work_queue_ends_with_the_first_success():
    async def check(c):
        found = await running(c, 3)
        node_of(c, found[0]).crash("default", name(found[0]), exit_code=0)
        await settle(10)
        assert len(await events(c, "SuccessfulCreate")) == 3  # nothing is made after a success
        for pod in found[1:]:
            node_of(c, pod).crash("default", name(pod), exit_code=0)
        j = await done(c)
        assert status(j)["succeeded"] == 3 and conditions(j)["Complete"][0] == "True"

    run_job(check, parallelism=3, annotations=LONG)


def test_ready_and_active_are_told():
    async def check(c):
        await c.wait_for(J, "j", lambda j: status(j).get("active") == 2 and status(j).get("ready") == 0)
        await c.wait_for(J, "j", lambda j: status(j).get("active") == 2 and status(j).get("ready") == 2)

    run_job(check, parallelism=2, completions=2, annotations={**LONG, "ready-seconds": 5})


def test_ttl_after_finished():
    async def check(c):
        loop = asyncio.get_running_loop()
        await done(c)
        ended_at = loop.time()
        await c.wait_gone(J, "j", timeout=60)
        assert 18 < loop.time() - ended_at < 23

        async def none_left():
            return not await items(c, "pods")

        await until(c, none_left)

    run_job(check, ttlSecondsAfterFinished=20)
