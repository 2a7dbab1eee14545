"""ControllerRevisions: the remembered templates of DaemonSets and StatefulSets.

In: an owner and its template data. Out: revision objects, made or renumbered. Called by: daemonset,
statefulset.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.reconcile import objects, ownership
from kubewheel.reconcile.controller import Context

REVISIONS = "controllerrevisions.apps"


def template_patch(owner: Object) -> Object:
    """The data of a revision: a strategic merge patch that puts the whole template back."""
    template = dict(owner["spec"]["template"])
    template["$patch"] = "replace"
    return {"spec": {"template": template}}


def build(
    owner: Object,
    api_version: str,
    kind: str,
    data: Object,
    revision: int,
    labels: Object,
    collisions: int | None,
    hash_label: str,
) -> Object:
    hash_ = objects.stable_hash({"data": data}, collisions)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{owner['metadata']['name']}-{hash_}"[:253],
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, hash_label: hash_},
            "ownerReferences": [ownership.controller_ref(owner, api_version, kind)],
        },
        "data": data,
        "revision": revision,
    }


def ordered(revisions: Sequence[Object]) -> list[Object]:
    return sorted(
        revisions,
        key=lambda r: (r["revision"], r["metadata"].get("creationTimestamp", ""), r["metadata"]["name"]),
    )


def equal(a: Object, b: Object) -> bool:
    return objects.canonical(a.get("data")) == objects.canonical(b.get("data"))


async def ensure(context: Context, new: Object, revisions: Sequence[Object]) -> tuple[Object, bool]:
    """(the revision that says the same as `new`, collided). An older equal one gets the newest number (a
    roll-back).
    Collided: the name is taken by other data; the caller raises its collisionCount and comes again."""
    found = ordered(revisions)
    same = [r for r in found if equal(r, new)]
    highest = found[-1]["revision"] if found else 0
    if same:
        last = same[-1]
        if last["revision"] == highest:
            return last, False
        return await context.client.update(REVISIONS, {**last, "revision": highest + 1}), False
    try:
        return await context.client.create(REVISIONS, {**new, "revision": highest + 1}), False
    except errors.StatusError as e:
        if e.reason != "AlreadyExists":
            raise
        there = await context.client.get(
            REVISIONS, new["metadata"]["name"], namespace=new["metadata"]["namespace"]
        )
        if equal(there, new) and ownership.controller_of(there) is not None:
            return there, False
        return there, True


async def truncate(context: Context, revisions: Sequence[Object], live: set[str], limit: int) -> None:
    """Deletes the oldest revisions no pod is of, past `limit`. `live` holds revision names."""
    idle = [r for r in ordered(revisions) if r["metadata"]["name"] not in live]
    for revision in idle[: max(len(idle) - limit, 0)]:
        meta = revision["metadata"]
        try:
            await context.client.delete(REVISIONS, meta["name"], namespace=meta["namespace"], uid=meta["uid"])
        except errors.StatusError as e:
            if e.code != 404:
                raise
