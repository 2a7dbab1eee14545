"""Who owns what: controller references, adopting orphans, releasing strays.

In: an owner, candidates from a cache. Out: what the owner owns, after the patches that make it true.
Called by: controllers. Rules: upstream's ControllerRefManager (at most one controller; adopt only with a
fresh look
at the owner's uid; never adopt for or into something that is being deleted).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.cache import Cache
from kubewheel.client.client import MERGE_PATCH, STRATEGIC_PATCH, Client

INDEX = "controller"


def controller_of(obj: Object) -> Object | None:
    """The one owner reference with `controller: true`."""
    for ref in obj["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            return ref
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    ref = controller_of(obj)
    return ref is not None and ref["uid"] == owner["metadata"]["uid"]


def controller_ref(owner: Object, api_version: str, kind: str) -> Object:
    meta = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def index_by_controller(cache: Cache) -> None:
    """Adds the index `candidates` and `owned` read."""
    cache.add_index(INDEX, _index_values)


def _index_values(obj: Object) -> Iterable[str]:
    ref = controller_of(obj)
    yield ref["uid"] if ref else f"orphans/{obj['metadata'].get('namespace', '')}"


def owned(cache: Cache, owner: Object) -> list[Object]:
    """What names this owner as its controller, whatever its labels."""
    namespace = owner["metadata"].get("namespace", "")
    return [
        o
        for o in cache.by_index(INDEX, owner["metadata"]["uid"])
        if not namespace or o["metadata"].get("namespace") == namespace
    ]


def orphans(cache: Cache, namespace: str) -> list[Object]:
    return cache.by_index(INDEX, f"orphans/{namespace}")


async def claim(
    client: Client,
    cache: Cache,
    owner: Object,
    *,
    owner_resource: str,
    api_version: str,
    kind: str,
    resource: str,
    selects: Callable[[Object], bool],
    ignores: Callable[[Object], bool] = lambda obj: False,
    adopt_finalizers: tuple[str, ...] = (),
    release_finalizers: tuple[str, ...] = (),
) -> list[Object]:
    """All that the owner controls and selects. Owned but not selected: released. Selected orphans: adopted.
    `ignores`: owned or not, it is left as it is. `adopt_finalizers` come with the reference, `release_finalizers`
    go with it (job tracking)."""
    deleting = "deletionTimestamp" in owner["metadata"]
    out: list[Object] = []
    for obj in owned(cache, owner):
        if ignores(obj):
            continue
        if selects(obj):
            out.append(obj)
        elif not deleting:
            await _release(client, resource, owner, obj, release_finalizers)
    if deleting:
        return out
    checked = False
    for obj in orphans(cache, owner["metadata"].get("namespace", "")):
        if "deletionTimestamp" in obj["metadata"] or ignores(obj) or not selects(obj):
            continue
        if not checked:
            if not await _still_there(client, owner_resource, owner):
                return out
            checked = True
        adopted = await _adopt(
            client, resource, controller_ref(owner, api_version, kind), obj, adopt_finalizers
        )
        if adopted is not None:
            out.append(adopted)
    return out


async def _still_there(client: Client, resource: str, owner: Object) -> bool:
    """The cache may be old: the server is asked whether this very object still lives."""
    meta = owner["metadata"]
    fresh = await client.find(resource, meta["name"], namespace=meta.get("namespace"))
    return (
        fresh is not None
        and fresh["metadata"]["uid"] == meta["uid"]
        and "deletionTimestamp" not in fresh["metadata"]
    )


async def _adopt(
    client: Client, resource: str, ref: Object, obj: Object, finalizers: tuple[str, ...]
) -> Object | None:
    meta = obj["metadata"]
    patch: Object = {"metadata": {"uid": meta["uid"], "ownerReferences": [ref]}}
    if finalizers:
        patch["metadata"]["finalizers"] = list(finalizers)
    try:
        return await client.patch(
            resource, meta["name"], patch, namespace=meta.get("namespace"), type=STRATEGIC_PATCH
        )
    except errors.StatusError as e:
        if e.code == 404:
            return None
        raise


async def _release(
    client: Client, resource: str, owner: Object, obj: Object, finalizers: tuple[str, ...]
) -> None:
    meta = obj["metadata"]
    # Whole lists with the resource version: a lost race is raised and tried again with what is there then.
    left = [r for r in meta.get("ownerReferences") or () if r["uid"] != owner["metadata"]["uid"]]
    patch: Object = {
        "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": left}
    }
    if finalizers:
        patch["metadata"]["finalizers"] = [f for f in meta.get("finalizers") or () if f not in finalizers]
    try:
        await client.patch(resource, meta["name"], patch, namespace=meta.get("namespace"), type=MERGE_PATCH)
    except errors.StatusError as e:
        if e.code not in (404, 422):  # gone, or another object by now (422: the uid is another's)
            raise
