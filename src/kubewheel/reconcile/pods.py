"""Making and deleting pods for an owner, with upstream's events and slow start.

In: owner, template, a Context. Out: pods; Expectations told. Called by: replicaset, replication,
daemonset, job, statefulset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.reconcile import runner
from kubewheel.reconcile.controller import Context
from kubewheel.reconcile.expectations import Expectations
from kubewheel.reconcile.ownership import controller_ref


def from_template(template: Object, owner: Object, api_version: str, kind: str, *, name: str = "") -> Object:
    """The pod a template makes: generateName `<owner>-` unless named (upstream's GetPodFromTemplate)."""
    meta = template.get("metadata") or {}
    pod_meta: Object = {
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [controller_ref(owner, api_version, kind)],
    }
    if name:
        pod_meta["name"] = name
    else:
        pod_meta["generateName"] = generate_name(owner["metadata"]["name"])
    for part in ("labels", "annotations", "finalizers"):
        if meta.get(part):
            pod_meta[part] = codec.copy(meta[part])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_meta,
        "spec": codec.copy(template.get("spec") or {}),
    }


def generate_name(owner: str) -> str:
    """A name too long for a pod is cut, so that generated names stay valid."""
    return owner + "-" if len(owner) < 253 - 6 else owner[: 253 - 6] + "-"


async def create(
    context: Context, owner: Object, pod: Object, *, key: str, expectations: Expectations | None
) -> Object:
    """Creates one; FailedCreate is told and the error goes on."""
    try:
        made = await context.client.create("pods", pod)
    except errors.StatusError as e:
        if not runner.is_terminating(e):
            context.events.event(owner, "Warning", "FailedCreate", f"Error creating: {e.message}")
        raise
    if expectations is not None:
        expectations.wrote(key, made)
    context.events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
    return made


async def delete(
    context: Context, owner: Object, pod: Object, *, key: str, expectations: Expectations | None
) -> None:
    """Deletes this very pod (uid checked); one that is gone already is fine."""
    meta = pod["metadata"]
    try:
        await context.client.delete("pods", meta["name"], namespace=meta["namespace"], uid=meta["uid"])
    except errors.StatusError as e:
        if e.code == 404 or e.code == 409:
            return
        context.events.event(owner, "Warning", "FailedDelete", f"Error deleting: {e.message}")
        raise
    if expectations is not None:
        expectations.deleted(key, pod)
    context.events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")


async def create_many(
    context: Context,
    owner: Object,
    new_pods: Sequence[Object],
    *,
    key: str,
    expectations: Expectations | None,
) -> int:
    """In batches of 1, 2, 4 …: a template that cannot work fails once, not five hundred times. Raises the
    first
    error; an ended namespace is no error. Says how many were made."""
    done, size = 0, 1
    while done < len(new_pods):
        batch = new_pods[done : done + size]
        results = await asyncio.gather(
            *(create(context, owner, pod, key=key, expectations=expectations) for pod in batch),
            return_exceptions=True,
        )
        failed = [r for r in results if isinstance(r, BaseException)]
        for error in failed:
            if isinstance(error, errors.StatusError) and runner.is_terminating(error):
                return done
            raise error
        done += len(batch)
        size *= 2
    return done


async def delete_many(
    context: Context, owner: Object, victims: Iterable[Object], *, key: str, expectations: Expectations | None
) -> None:
    await all_of(delete(context, owner, pod, key=key, expectations=expectations) for pod in victims)


async def all_of(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Does all of it, then raises the first error."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)


async def update_status(
    context: Context,
    resource: str,
    obj: Object,
    status: Object,
    *,
    key: str = "",
    expectations: Expectations | None = None,
) -> Object:
    """Writes the status where it differs from what is there."""
    if obj.get("status") == status:
        return obj
    answer = await context.client.update_status(resource, {**obj, "status": status})
    if expectations is not None:
        expectations.wrote(key, answer)
    return answer


def keys_of_owner_or_orphan(resource: str, kind: str, selects: Callable[[Object, Object], bool]) -> Any:
    """KeysOf for pods: the controlling owner, or for an orphan every owner in the namespace that selects
    it."""

    def keys(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
        found: dict[str, None] = {}
        for obj in (old, new):
            if obj is None:
                continue
            ref = next((r for r in obj["metadata"].get("ownerReferences") or () if r.get("controller")), None)
            if ref is not None:
                if ref["kind"] == kind:
                    found[f"{obj['metadata']['namespace']}/{ref['name']}"] = None
            elif obj is new:
                for owner in context.cache(resource).list(obj["metadata"]["namespace"]):
                    if selects(owner, obj):
                        found[f"{obj['metadata']['namespace']}/{owner['metadata']['name']}"] = None
        return found

    return keys
