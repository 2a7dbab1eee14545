"""Deletes what nobody owns any more: background, foreground and orphaning deletion over all resources,
CRDs included.

In: a cache per discovered resource (list, watch, delete), discovery every 30 s and at once when a CRD
changes.
Out: deletions, owner references and finalizers taken off. The graph is in gc_graph.py; here one key is one
uid.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.client.client import MERGE_PATCH
from kubewheel.controllers.gc_graph import FOREGROUND, ORPHAN, Graph, Node
from kubewheel.controllers.rules import events, rule
from kubewheel.reconcile import discovery
from kubewheel.reconcile.controller import Context, Controller
from kubewheel.reconcile.pods import all_of

log = logging.getLogger(__name__)

RESYNC = 30.0
IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))
CRDS = ("apiextensions.k8s.io", "customresourcedefinitions")


@dataclass(slots=True)
class State:
    graph: Graph
    kinds: dict[tuple[str, str], discovery.ApiResource] = field(default_factory=dict)
    watched: set[Gvr] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # a CRD came or went


def setup(context: Context) -> State:
    return State(Graph(lambda key: context.enqueue(key)))


async def run(context: Context) -> None:
    """Keeps one cache per resource that can be collected."""
    state: State = context.state
    while True:
        try:
            await sync_monitors(context)
        except (errors.StatusError, OSError) as e:
            log.warning("discovery failed: %s", e)
        state.changed.clear()
        try:
            async with asyncio.timeout(RESYNC):
                await state.changed.wait()
            await asyncio.sleep(0.5)  # a new CRD is served a moment after it is established
        except TimeoutError:
            pass


async def sync_monitors(context: Context) -> None:
    state: State = context.state
    found = await discovery.discover(context.client)
    state.kinds = dict(found.kinds)
    wanted = {
        r.gvr: r
        for r in found.with_verbs("list", "watch", "delete")
        if (r.gvr.group, r.gvr.plural) not in IGNORED
    }
    for gvr, resource in wanted.items():
        if gvr not in state.watched:
            state.watched.add(gvr)
            context.caches.get(gvr).subscribe(_observer(state.graph, resource))
            if (gvr.group, gvr.plural) == CRDS:
                context.caches.get(gvr).subscribe(lambda old, new: state.changed.set())
    failed_groups = {v.split("/")[0] for v in found.failed}
    for gvr in [g for g in state.watched if g not in wanted and g.group not in failed_groups]:
        state.watched.discard(gvr)
        await context.caches.stop(gvr)
        state.graph.forget_resource(gvr)


def _observer(
    graph: Graph, resource: discovery.ApiResource
) -> Callable[[Object | None, Object | None], None]:
    def observe(old: Object | None, new: Object | None) -> None:
        graph.observe(resource.gvr, resource.kind, old, new)

    return observe


async def reconcile(context: Context, key: str) -> float | None:
    graph: Graph = context.state.graph
    kind, _, uid = key.partition(":")
    node = graph.nodes.get(uid)
    if node is None:
        return None
    if kind == "orphan":
        await _orphan_dependents(context, node)
        return None
    if node.virtual:
        return await _look_for_virtual(context, node)
    if node.deleting and not node.deleting_dependents:
        return None
    live = await _live(context, node)
    if live is None:
        graph.observe_absent(uid)
        return None
    if node.deleting_dependents:
        return await _foreground(context, node, live)
    await _collect(context, node, live)
    return None


async def _live(context: Context, node: Node) -> Object | None:
    assert node.gvr is not None
    found = await context.client.find(node.gvr, node.name, namespace=node.namespace)
    return found if found is not None and found["metadata"]["uid"] == node.uid else None


async def _look_for_virtual(context: Context, node: Node) -> float | None:
    """Someone names an owner nobody has seen: is it there?"""
    owner = await _owner(context, node.ref, node.namespace)
    if owner is None:
        context.state.graph.observe_absent(node.uid)
    elif node.gvr is None:
        return 5.0  # its own cache will show it soon
    return None


async def _owner(context: Context, ref: Object, namespace: str) -> Object | None:
    """The live owner a reference means; None where there is none. StatusError for kinds nobody serves."""
    resource = context.state.kinds.get((ref["apiVersion"], ref["kind"]))
    if resource is None:
        found = await discovery.discover(context.client)
        context.state.kinds = dict(found.kinds)
        resource = context.state.kinds.get((ref["apiVersion"], ref["kind"]))
        if resource is None:
            raise errors.status_error(
                404, "NotFound", f'no matches for kind "{ref["kind"]}" in version "{ref["apiVersion"]}"'
            )
    if resource.namespaced and not namespace:
        return None  # a cluster-scoped object cannot be owned by a namespaced one
    found_owner = await context.client.find(
        resource.gvr, ref["name"], namespace=namespace if resource.namespaced else None
    )
    return found_owner if found_owner is not None and found_owner["metadata"]["uid"] == ref["uid"] else None


async def _collect(context: Context, node: Node, live: Object) -> None:
    """Owners are solid (there), waiting (deleting in the foreground) or dangling (gone)."""
    refs: Sequence[Object] = live["metadata"].get("ownerReferences") or ()
    if not refs:
        return
    solid, waiting, dangling = await _classify(context, node, refs)
    if solid:
        gone = {r["uid"] for r in (*waiting, *dangling)}
        if gone:
            await _patch_refs(context, node, live, [r for r in refs if r["uid"] not in gone])
        return
    graph: Graph = context.state.graph
    if waiting and node.dependents:
        # All that holds it waits for it: it waits for its own dependents first. A dependent that is itself
        # waiting
        # means a circle; it is broken here by no longer blocking.
        if any(graph.nodes[u].deleting_dependents for u in node.dependents if u in graph.nodes):
            await _patch_refs(context, node, live, [{**r, "blockOwnerDeletion": False} for r in refs])
        await _delete(context, node, live, "Foreground")
        return
    finalizers = live["metadata"].get("finalizers") or ()
    policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
    await _delete(context, node, live, policy)


async def _classify(
    context: Context, node: Node, refs: Iterable[Object]
) -> tuple[list[Object], list[Object], list[Object]]:
    solid: list[Object] = []
    waiting: list[Object] = []
    dangling: list[Object] = []
    for ref in refs:
        owner = await _owner(context, ref, node.namespace)
        if owner is None:
            dangling.append(ref)
        elif "deletionTimestamp" in owner["metadata"] and FOREGROUND in (
            owner["metadata"].get("finalizers") or ()
        ):
            waiting.append(ref)
        else:
            solid.append(ref)
    return solid, waiting, dangling


async def _foreground(context: Context, node: Node, live: Object) -> float | None:
    """The owner goes when nothing that blocks it is left."""
    graph: Graph = context.state.graph
    blocking = graph.blocking_dependents(node)
    if not blocking:
        await _remove_finalizer(context, node, live, FOREGROUND)
        return None
    for dependent in blocking:
        if not dependent.deleting_dependents:
            context.enqueue(f"delete:{dependent.uid}")
    return None


async def _orphan_dependents(context: Context, node: Node) -> None:
    graph: Graph = context.state.graph
    live = await _live(context, node)
    if live is None or ORPHAN not in (live["metadata"].get("finalizers") or ()):
        return
    await all_of(_orphan(context, node, graph.nodes[u]) for u in list(node.dependents) if u in graph.nodes)
    await _remove_finalizer(context, node, live, ORPHAN)


async def _orphan(context: Context, owner: Node, dependent: Node) -> None:
    live = await _live(context, dependent)
    if live is None:
        return
    refs = live["metadata"].get("ownerReferences") or []
    left = [r for r in refs if r["uid"] != owner.uid]
    if left != refs:
        await _patch_refs(context, dependent, live, left)


async def _patch_refs(context: Context, node: Node, live: Object, refs: list[Object]) -> None:
    await _patch(context, node, live, {"ownerReferences": refs})


async def _remove_finalizer(context: Context, node: Node, live: Object, finalizer: str) -> None:
    left = [f for f in live["metadata"].get("finalizers") or () if f != finalizer]
    await _patch(context, node, live, {"finalizers": left})


async def _patch(context: Context, node: Node, live: Object, changes: Object) -> None:
    """The resource version goes with it: lists are replaced, so nothing may have changed in between."""
    assert node.gvr is not None
    meta = {"uid": node.uid, "resourceVersion": live["metadata"]["resourceVersion"], **changes}
    try:
        await context.client.patch(
            node.gvr, node.name, {"metadata": meta}, namespace=node.namespace or None, type=MERGE_PATCH
        )
    except errors.StatusError as e:
        if e.code != 404:
            raise


async def _delete(context: Context, node: Node, live: Object, policy: str) -> None:
    assert node.gvr is not None
    try:
        await context.client.delete(
            node.gvr,
            node.name,
            namespace=node.namespace or None,
            uid=node.uid,
            resource_version=live["metadata"]["resourceVersion"],
            propagation=policy,
        )
    except errors.StatusError as e:
        if e.code != 404:
            raise


CONTROLLER = Controller(
    name="garbage-collector-controller",
    reconcile=reconcile,
    run=run,
    setup=setup,
    workers=20,
    rules=(rule("*", "*", "get list watch patch update delete"), events()),
)
