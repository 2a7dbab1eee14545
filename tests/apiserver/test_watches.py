"""WATCH: which watchers an event reaches, single objects, what is refused, and that none is left behind."""

import asyncio
import json
from functools import partial

from tests.apiserver.wire import account, config_map, pod, send

from kubewheel.api import codec
from kubewheel.apiserver import watch_cache
from kubewheel.apiserver.watch_cache import ResourceCache, Trigger
from kubewheel.storage.store import StoreEvent
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CMS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"


def node_of(obj):
    return obj["spec"].get("nodeName", "")


def written(revision, node):
    obj = {"metadata": {"name": "p"}, "spec": {"nodeName": node} if node else {}}
    return StoreEvent("/registry/pods/default/p", revision, codec.to_stored(obj), None)


async def test_an_event_reaches_only_the_watchers_it_can_concern():
    cache = ResourceCache("/registry/pods/", since=1)
    asked = []

    def watcher(node):
        def matches(entry):
            asked.append(node)
            return node_of(entry.obj) == node
        return cache.watch(None, cache.prefix, after=1, matches=matches, trigger=Trigger("spec.nodeName", node_of, node))

    watchers = [await watcher(f"node-{i}") for i in range(5000)]
    named = await cache.watch(None, cache.prefix, after=1, matches=None, trigger=Trigger("metadata.name", None, "p"))
    other = await cache.watch(None, cache.prefix, after=1, matches=None, trigger=Trigger("metadata.name", None, "q"))
    everything = await cache.watch(None, cache.prefix, after=1, matches=None)
    for revision, node in ((2, ""), (3, "node-7"), (4, "node-9")):
        cache.apply(written(revision, node))
    seen = {i: [kind for kind, _, _ in await watchers[i].batch(0)] for i in (7, 8, 9)}
    assert seen == {7: ["ADDED", "DELETED"], 8: [], 9: ["ADDED"]}
    assert set(asked) == {"node-7", "node-9"}, "of 5,000 kubelets, nobody else is asked"
    assert [len(await w.batch(0)) for w in (named, other, everything)] == [3, 0, 3]
    for one in [*watchers, named, other, everything]:
        one.close()
        one.close()
    assert not cache.watchers
    cache.apply(written(5, "node-7"))


async def test_lists_by_a_field_go_by_its_index():
    cache = ResourceCache("/registry/pods/", since=1)

    def write(revision, key, node):
        value = None if node is None else codec.to_stored({"metadata": {"name": key}, "spec": {"nodeName": node}})
        cache.apply(StoreEvent(f"/registry/pods/{key}", revision, value, None))

    def found(node, prefix="/registry/pods/"):
        return [e.key.removeprefix("/registry/pods/") for e in cache.chosen(prefix, Trigger("spec.nodeName", node_of, node))]

    for i, (key, node) in enumerate((("b/p", "one"), ("a/q", "one"), ("a/r", "two"))):
        write(2 + i, key, node)
    assert found("one") == ["a/q", "b/p"] and found("one", "/registry/pods/a/") == ["a/q"] and found("none") == []
    write(5, "a/r", "one")
    write(6, "b/p", None)
    write(7, "c/s", "two")
    assert found("one") == ["a/q", "a/r"] and found("two") == ["c/s"]
    named = cache.chosen("/registry/pods/", Trigger("metadata.name", None, "r"))
    assert [e.key for e in named] == ["/registry/pods/a/r"]
    assert [e.key for e in cache.chosen("/registry/pods/", None)] == [e.key for e in cache.under("/registry/pods/")]


async def test_thousands_of_kubelets_do_not_slow_a_write():
    """With a match call for each of them an event took some 50 ms."""
    cache, asked = ResourceCache("/registry/pods/", since=1), []

    def matches(entry, node):
        asked.append(node)
        return node_of(entry.obj) == node

    for i in range(5000):
        node = f"node-{i}"
        await cache.watch(None, cache.prefix, after=1, trigger=Trigger("spec.nodeName", node_of, node),
                          matches=partial(matches, node=node))
    for revision in range(2, 102):
        cache.apply(written(revision, "node-7"))
    assert set(asked) <= {"node-7"} and len(asked) <= 200, "100 events, each the object before and after"


@bare
async def test_pods_of_a_node_over_the_wire(cluster):
    await account(cluster)
    client = cluster.client
    mine = await send(cluster, "GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1%2Cstatus.phase!%3DFailed")
    unbound = await send(cluster, "GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D")
    await client.create("pods", pod("a"))
    await client.create("pods", pod("b", nodeName="n2"))
    assert (await send(cluster, "POST", PODS + "/a/binding", {"target": {"kind": "Node", "name": "n1"}})).status == 201
    await client.patch("pods", "a", {"status": {"phase": "Failed"}}, namespace="default", subresource="status")
    events = await mine.lines(2)
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [("ADDED", "a"), ("DELETED", "a")]
    events = await unbound.lines(2)
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [("ADDED", "a"), ("DELETED", "a")]


@bare
async def test_a_single_object(cluster):
    for name in ("a", "b"):
        await cluster.client.create("configmaps", config_map(name))
    old = await send(cluster, "GET", "/api/v1/watch/namespaces/default/configmaps/b")
    new = await send(cluster, "GET", CMS + "?watch=1&fieldSelector=metadata.name%3Db")
    for name in ("a", "b"):
        await cluster.client.delete("configmaps", name, namespace="default")
    for watch in (old, new):
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in await watch.lines(2)] == [("ADDED", "b"), ("DELETED", "b")]
    refused = await send(cluster, "GET", "/api/v1/watch/namespaces/default/configmaps/b?fieldSelector=metadata.name%3Dc")
    assert refused.status == 400 and refused.json["message"] == "fieldSelector metadata.name doesn't match requested name"


@bare
async def test_what_is_refused(cluster):
    match = "resourceVersionMatch: Forbidden: "
    for query, texts in (
        ("sendInitialEvents=true", [match + "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"]),
        ("resourceVersionMatch=NotOlderThan&continue=x", [
            match + "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            match + "resourceVersionMatch is forbidden when continue is provided"]),
        ("resourceVersionMatch=Exact&sendInitialEvents=true", [
            match + "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"'])):
        refused = await send(cluster, "GET", f"{CMS}?watch=1&{query}")
        said = [f"{c['field']}: {c['message']}" for c in refused.json["details"]["causes"]]
        assert refused.status == 422 and said == texts, query
        assert refused.json["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')


@with_cluster(virtual_time=True, nodes=0, controllers="", scheduler=False)
async def test_a_snapshot_of_the_future_is_an_error_in_the_stream(cluster):
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999&allowWatchBookmarks=1"
    event = (await (await send(cluster, "GET", f"{CMS}?{query}")).lines(1))[0]
    assert event["type"] == "ERROR" and event["object"]["code"] == 504 and event["object"]["details"] == {
        "retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    assert event["object"]["message"].startswith("Timeout: Too large resource version: 999999, current: ")
    assert not cluster.server.watch_cache.resource("configmaps").watchers


@with_cluster(virtual_time=True, nodes=0, controllers="", scheduler=False)
async def test_bookmarks_come_each_minute_and_carry_the_newest_revision(cluster):
    loop = asyncio.get_running_loop()
    watch = await send(cluster, "GET", f"{CMS}?watch=1&resourceVersion={cluster.server.store.revision()}"
                       "&timeoutSeconds=150&allowWatchBookmarks=true")
    began, times, last = loop.time(), [], 0
    await cluster.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    async for line in watch.chunks:
        event = json.loads(line)
        times.append(round(loop.time() - began))
        last = int(event["object"]["metadata"]["resourceVersion"])
        assert set(event["object"]["metadata"]) == {"resourceVersion"} and event["object"]["kind"] == "ConfigMap"
    assert times == [60, 120, 148] and round(loop.time() - began) == 150
    assert last == cluster.server.store.revision(), "also of writes to other resources"


@bare
async def test_watchers_see_one_order(cluster):
    watches = [await send(cluster, "GET", f"{CMS}?watch=1&labelSelector=x%3Dy") for _ in range(5)]
    await asyncio.gather(*(cluster.client.create("configmaps", config_map(f"c{i}", labels={"x": "y"})) for i in range(20)))
    orders = {tuple(e["object"]["metadata"]["name"] for e in await w.lines(20)) for w in watches}
    assert len(orders) == 1


@bare
async def test_a_watcher_that_does_not_keep_up_is_ended(cluster, monkeypatch):
    monkeypatch.setattr(watch_cache, "MAX_BEHIND", 3)
    watch = await send(cluster, "GET", f"{CMS}?watch=1")
    for i in range(8):
        await cluster.client.create("configmaps", config_map(f"c{i}"))
    await cluster.server.watch_cache.fresh()
    async with asyncio.timeout(5):
        lines = [line async for chunk in watch.chunks for line in chunk.splitlines()]
    assert len(lines) < 8, "it ends instead of holding more and more"
    assert not cluster.server.watch_cache.resource("configmaps").watchers
