"""Jobs: pods until enough of them have succeeded.

In: jobs, pods. Out: pods, finalizers off counted pods, job status and conditions. Decisions: job_plan.py,
job_indexes.py.
A pod is counted exactly once: it goes to status.uncountedTerminatedPods, then its finalizer is removed,
then it is in
the numbers (upstream's job tracking); a crash between any two steps counts neither twice nor never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.client import MERGE_PATCH
from kubewheel.controllers import job_plan as plan
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, ownership, pods
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations

JOBS = "jobs.batch"
TRACKED = "job-tracked"


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    expectations: Expectations = context.state
    cached = context.cache(JOBS).get(namespace, name)
    if cached is None:
        expectations.forget(key)
        await _free_pods(context, key)
        return None
    if not expectations.satisfied(key, context.cache("pods")) or not expectations.satisfied(
        "job/" + key, context.cache(JOBS)
    ):
        return 1.0
    job = objects.with_kind(cached, "batch/v1", "Job")
    if job["spec"].get("managedBy", plan.CONTROLLER_NAME) != plan.CONTROLLER_NAME:
        return None
    if plan.is_finished(job):
        for pod in ownership.owned(context.cache("pods"), job):  # nothing may stay held by our finalizer
            if plan.has_finalizer(pod) and objects.is_finished(pod):
                await _remove_finalizer(context, key, pod)
        return None
    owned = await ownership.claim(
        context.client,
        context.cache("pods"),
        job,
        owner_resource=JOBS,
        api_version="batch/v1",
        kind="Job",
        resource="pods",
        selects=lambda p: objects.matches(job["spec"]["selector"], objects.labels_of(p)),
        adopt_finalizers=(plan.FINALIZER,),
        release_finalizers=(plan.FINALIZER,),
    )
    return await _sync(context, key, job, owned)


async def _sync(context: Context, key: str, job: Object, owned: Sequence[Object]) -> float | None:
    now = context.clock.now()
    todo = plan.plan(job, owned, now)
    for pod in todo.release:
        await _remove_finalizer(context, key, pod)
    await pods.delete_many(context, job, [*todo.delete, *todo.release], key=key, expectations=context.state)
    for count, reason, message in todo.notes:
        context.events.event(job, "Normal" if count else "Warning", reason, message)
    if todo.create:
        new = [_pod(job, index, failures) for index, failures in todo.create]
        await pods.create_many(context, job, new, key=key, expectations=context.state)
    # Step 1: uncounted pods are written down by uid, before their finalizers go.
    status = todo.status
    job = await _write(context, key, job, status)
    # Step 2: their finalizers go.
    for pod in todo.counted:
        await _remove_finalizer(context, key, pod)
    # Step 3: they are numbers now, and if that decides the Job, it is decided.
    if todo.counted or todo.succeeded or todo.failed or todo.final is not None:
        final = plan.settle(job, todo, now)
        await _write(context, key, job, final)
        _tell(context, job, todo, final)
    return todo.again


async def _write(context: Context, key: str, job: Object, status: Object) -> Object:
    if job.get("status") == status:
        return job
    answer = await context.client.update_status(JOBS, {**job, "status": status})
    context.state.wrote("job/" + key, answer)
    return answer


def _tell(context: Context, job: Object, todo: plan.Plan, status: Object) -> None:
    if todo.final is None:
        return
    if todo.final["type"] == "Complete":
        context.events.event(job, "Normal", "Completed", "Job completed")
    elif todo.final["type"] == "Failed":
        context.events.event(job, "Warning", todo.final["reason"], todo.final["message"])


async def _remove_finalizer(context: Context, key: str, pod: Object) -> None:
    if not plan.has_finalizer(pod):
        return
    meta = pod["metadata"]
    # With the resource version: a lost race is raised, so that a pod is never counted with its finalizer
    # still on.
    patch = {
        "metadata": {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "finalizers": [f for f in meta["finalizers"] if f != plan.FINALIZER],
        }
    }
    try:
        answer = await context.client.patch(
            "pods", meta["name"], patch, namespace=meta["namespace"], type=MERGE_PATCH
        )
    except errors.StatusError as e:
        if e.code != 404:
            raise
        return
    if "deletionTimestamp" not in meta:
        context.state.wrote(key, answer)
    else:
        context.state.deleted(key, pod)


async def _free_pods(context: Context, key: str) -> None:
    """The Job is gone: nobody will count its pods any more, so nothing may hold them."""
    cache = context.cache("pods")
    namespace, _ = split_key(key)
    for pod in (*cache.by_index(TRACKED, key), *cache.by_index(TRACKED, f"{namespace}/")):
        ref = ownership.controller_of(pod)
        if ref is None and _may_be_adopted(context, pod):
            continue
        await _remove_finalizer(context, key, pod)


def _may_be_adopted(context: Context, pod: Object) -> bool:
    jobs = context.cache(JOBS).list(pod["metadata"]["namespace"])
    return any(_selects(job, pod) and not objects.is_terminating(job) for job in jobs)


def _tracked(pod: Object) -> Iterable[str]:
    """Pods that carry our finalizer, by Job; "namespace/" for orphans."""
    if plan.has_finalizer(pod):
        ref = ownership.controller_of(pod)
        if ref is None or ref["kind"] == "Job":
            yield f"{pod['metadata']['namespace']}/{ref['name'] if ref else ''}"


def _pod(job: Object, index: int | None, failures: int) -> Object:
    pod = pods.from_template(job["spec"]["template"], job, "batch/v1", "Job")
    meta, spec = pod["metadata"], pod["spec"]
    meta["finalizers"] = [*(meta.get("finalizers") or ()), plan.FINALIZER]
    if index is None:
        return pod
    meta.setdefault("annotations", {})[plan.INDEX] = str(index)
    meta.setdefault("labels", {})[plan.INDEX] = str(index)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        meta["annotations"][plan.INDEX_FAILURES] = str(failures)
    meta["generateName"] = f"{job['metadata']['name']}-{index}-"
    spec["hostname"] = f"{job['metadata']['name']}-{index}"
    env = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{plan.INDEX}']"}},
    }
    for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
        if not any(e["name"] == env["name"] for e in container.get("env") or ()):
            container["env"] = [*(container.get("env") or ()), env]
    return pod


def _selects(job: Object, pod: Object) -> bool:
    return objects.matches(job["spec"].get("selector"), objects.labels_of(pod))


def setup(context: Context) -> Expectations:
    ownership.index_by_controller(context.cache("pods"))
    context.cache("pods").add_index(TRACKED, _tracked)
    return Expectations()


CONTROLLER = Controller(
    name="job-controller",
    reconcile=reconcile,
    setup=setup,
    watches=(Watch(JOBS, own_key), Watch("pods", pods.keys_of_owner_or_orphan(JOBS, "Job", _selects))),
    rules=(
        rule("batch", "jobs", READ + " update patch"),
        rule("batch", "jobs/status", "update"),
        rule("batch", "jobs/finalizers", "update"),
        rule("", "pods", "list watch create delete patch"),
        events(),
    ),
)
