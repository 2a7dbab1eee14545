"""LIST and WATCH over the wire: chunks, revisions, selectors, forms."""

import pytest
from tests.apiserver.wire import account, config_map, pod, send

from kubewheel.apiserver import watch_cache
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CMS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def fill(cluster, count):
    for i in range(count):
        await cluster.client.create("configmaps", config_map(f"cm-{i:02}", labels={"parity": "odd" if i % 2 else "even"}))


@bare
async def test_chunks_are_one_snapshot(cluster):
    await fill(cluster, 10)
    first = (await send(cluster, "GET", CMS + "?limit=4")).json
    assert len(first["items"]) == 4 and first["metadata"]["remainingItemCount"] == 6
    await cluster.client.delete("configmaps", "cm-07", namespace="default")
    await cluster.client.create("configmaps", config_map("cm-99"))
    second = (await send(cluster, "GET", f"{CMS}?limit=4&continue={first['metadata']['continue']}")).json
    third = (await send(cluster, "GET", f"{CMS}?limit=4&continue={second['metadata']['continue']}")).json
    names = [i["metadata"]["name"] for page in (first, second, third) for i in page["items"]]
    assert names == [f"cm-{i:02}" for i in range(10)]
    assert "continue" not in third["metadata"] and "remainingItemCount" not in third["metadata"]
    assert len({p["metadata"]["resourceVersion"] for p in (first, second, third)}) == 1


@bare
async def test_a_compacted_chunk_offers_to_go_on_inconsistently(cluster):
    await fill(cluster, 6)
    first = (await send(cluster, "GET", CMS + "?limit=2")).json
    await cluster.client.create("configmaps", config_map("cm-98"))
    await cluster.control_plane.store.compact(cluster.control_plane.store.revision())
    gone = await send(cluster, "GET", f"{CMS}?limit=2&continue={first['metadata']['continue']}")
    assert gone.status == 410 and gone.json["reason"] == "Expired"
    token = gone.json["metadata"]["continue"]
    rest = (await send(cluster, "GET", f"{CMS}?limit=2&continue={token}")).json
    assert [i["metadata"]["name"] for i in rest["items"]] == ["cm-02", "cm-03"]
    assert int(rest["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    more = (await send(cluster, "GET", f"{CMS}?limit=9&continue={rest['metadata']['continue']}")).json
    assert [i["metadata"]["name"] for i in more["items"]] == ["cm-04", "cm-05", "cm-98"]


@bare
async def test_list_options_that_contradict(cluster):
    for query, code in (
        ("resourceVersionMatch=Exact", 422), ("resourceVersionMatch=Exact&resourceVersion=0", 422),
        ("resourceVersionMatch=Foo&resourceVersion=1", 422), ("continue=abc", 400), ("continue=abc&resourceVersion=5", 400),
        ("limit=x", 400), ("resourceVersion=x", 400), ("resourceVersion=-1", 400), ("labelSelector=%3D%3D", 400),
        ("fieldSelector=spec.nope%3Dx", 400), ("watch=1&timeoutSeconds=x", 400), ("watch=1&resourceVersion=abc", 500),
        ("watch=1&sendInitialEvents=true", 422), ("watch=1&resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersion=999999&resourceVersionMatch=Exact", 504), ("continue=eyJydiI6LTl9", 400),
    ):
        answer = await send(cluster, "GET", f"{CMS}?{query}")
        assert answer.status == code, (query, answer.body)
        assert answer.json["kind"] == "Status"


@bare
async def test_list_as_of_a_revision(cluster):
    made = await cluster.client.create("configmaps", config_map("old"))
    then = made["metadata"]["resourceVersion"]
    await cluster.client.create("configmaps", config_map("new"))
    exact = (await send(cluster, "GET", f"{CMS}?resourceVersion={then}&resourceVersionMatch=Exact")).json
    assert [i["metadata"]["name"] for i in exact["items"]] == ["old"] and exact["metadata"]["resourceVersion"] == then
    newer = (await send(cluster, "GET", f"{CMS}?resourceVersion={then}&resourceVersionMatch=NotOlderThan")).json
    assert [i["metadata"]["name"] for i in newer["items"]] == ["new", "old"]


@bare
async def test_selectors_turn_updates_into_added_and_deleted(cluster):
    start = (await send(cluster, "GET", CMS)).json["metadata"]["resourceVersion"]
    watch = await send(cluster, "GET", f"{CMS}?watch=1&labelSelector=tier%3Dgold&resourceVersion={start}")
    made = await cluster.client.create("configmaps", config_map("x", labels={"tier": "gold"}))
    client = cluster.client
    await client.patch("configmaps", "x", {"data": {"b": "2"}}, namespace="default")
    await client.patch("configmaps", "x", {"metadata": {"labels": {"tier": "lead"}}}, namespace="default")
    await client.patch("configmaps", "x", {"data": {"c": "3"}}, namespace="default")
    await client.patch("configmaps", "x", {"metadata": {"labels": {"tier": "gold"}}}, namespace="default")
    await client.delete("configmaps", "x", namespace="default")
    events = await watch.lines(5)
    assert [e["type"] for e in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert events[2]["object"]["metadata"]["labels"] == {"tier": "gold"}, "DELETED shows what was last seen to match"
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions)) and versions[0] == int(made["metadata"]["resourceVersion"])
    again = await send(cluster, "GET", f"{CMS}?watch=1&labelSelector=tier%3Dgold&resourceVersion={versions[1]}")
    assert [e["type"] for e in await again.lines(3)] == ["DELETED", "ADDED", "DELETED"]


@bare
async def test_initial_events_end_with_a_marked_bookmark(cluster):
    await fill(cluster, 2)
    query = "watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    events = await (await send(cluster, "GET", f"{CMS}?{query}")).lines(3)
    assert [e["type"] for e in events] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    events = await (await send(cluster, "GET", f"{CMS}?{query}", accept=PARTIAL)).lines(3)
    assert {e["object"]["kind"] for e in events} == {"PartialObjectMetadata"}
    events = await (await send(cluster, "GET", f"{CMS}?{query}", accept=TABLE)).lines(3)
    assert {e["object"]["kind"] for e in events} == {"Table"}
    assert events[0]["object"]["columnDefinitions"] and not events[1]["object"]["columnDefinitions"]
    marked = events[2]["object"]["rows"][0]["object"]["metadata"]
    assert marked["annotations"] == {"k8s.io/initial-events-end": "true"}


@bare
async def test_a_watch_from_the_forgotten_past_says_so_in_the_stream(cluster, monkeypatch):
    monkeypatch.setattr(watch_cache, "HISTORY", 3)
    await fill(cluster, 6)
    await cluster.server.watch_cache.fresh()
    store = cluster.server.store
    await store.compact(store.revision() - 2)
    watch = await send(cluster, "GET", f"{CMS}?watch=1&resourceVersion=1")
    assert watch.status == 200
    event = (await watch.lines(1))[0]
    assert event["type"] == "ERROR" and event["object"]["code"] == 410 and event["object"]["reason"] == "Expired"


@bare
@pytest.mark.parametrize("kept", [3, 5, 20])
async def test_a_watch_from_a_past_that_only_the_store_remembers(cluster, monkeypatch, kept):
    monkeypatch.setattr(watch_cache, "HISTORY", kept)
    before = cluster.server.store.revision()
    await fill(cluster, 6)
    await cluster.client.delete("configmaps", "cm-02", namespace="default")
    await cluster.server.watch_cache.fresh()
    for _ in range(2):
        watch = await send(cluster, "GET", f"{CMS}?watch=1&resourceVersion={before}")
        events = await watch.lines(7)
        assert [e["type"] for e in events] == ["ADDED"] * 6 + ["DELETED"]
        assert events[6]["object"]["metadata"]["name"] == "cm-02"
        revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
        assert revisions == sorted(set(revisions))


@bare
async def test_a_watch_from_the_future_waits_for_it(cluster):
    made = await cluster.client.create("configmaps", config_map("a"))
    future = int(made["metadata"]["resourceVersion"]) + 1
    watch = await send(cluster, "GET", f"{CMS}?watch=1&resourceVersion={future}")
    await cluster.client.create("configmaps", config_map("b"))
    await cluster.client.create("configmaps", config_map("c"))
    assert [e["object"]["metadata"]["name"] for e in await watch.lines(1)] == ["c"]


@with_cluster(virtual_time=True, nodes=0, controllers="", scheduler=False)
async def test_bookmarks_and_the_end_of_a_watch(cluster):
    watch = await send(cluster, "GET", f"{CMS}?watch=1&timeoutSeconds=90&allowWatchBookmarks=true")
    events = [line async for line in watch.chunks]
    assert [b'"BOOKMARK"' in e for e in events] == [True, True, True], "what there is has been shown, each minute, and just before the end"
    assert not cluster.server.watch_cache.resource("configmaps").watchers


@bare
async def test_dropped_watchers_leave_nothing(cluster):
    cache = cluster.server.watch_cache.resource("configmaps")
    before = len(cache.watchers)
    never_read = await send(cluster, "GET", f"{CMS}?watch=1")
    await never_read.chunks.aclose()
    refused = await send(cluster, "GET", f"{CMS}?watch=1", accept="text/csv")
    assert refused.status == 406
    begun = await send(cluster, "GET", f"{CMS}?watch=1")
    await cluster.client.create("configmaps", config_map("a"))
    await begun.lines(1)
    assert len(cache.watchers) == before


@bare
async def test_the_old_watch_prefix_and_a_get_with_watch(cluster):
    await fill(cluster, 2)
    events = await (await send(cluster, "GET", "/api/v1/watch/namespaces/default/configmaps/cm-01")).lines(1)
    assert [e["object"]["metadata"]["name"] for e in events] == ["cm-01"]
    plain = await send(cluster, "GET", CMS + "/cm-01?watch=true")
    assert plain.json["kind"] == "ConfigMap"


@bare
async def test_forms(cluster):
    await account(cluster)
    await cluster.client.create("pods", pod("p"))
    url = "/api/v1/namespaces/default/pods"
    table = (await send(cluster, "GET", url, accept=TABLE + ",application/json")).json
    assert table["kind"] == "Table" and table["columnDefinitions"][0]["name"] == "Name"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    full = (await send(cluster, "GET", url + "/p?includeObject=Object", accept=TABLE)).json
    assert full["rows"][0]["object"]["kind"] == "Pod"
    bare_rows = (await send(cluster, "GET", url + "?includeObject=None", accept=TABLE)).json
    assert bare_rows["rows"][0]["object"] is None
    old = (await send(cluster, "GET", url, accept="application/json;as=Table;v=v1beta1;g=meta.k8s.io")).json
    assert old["apiVersion"] == "meta.k8s.io/v1beta1"
    metas = (await send(cluster, "GET", url, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")).json
    assert metas["kind"] == "PartialObjectMetadataList" and "spec" not in metas["items"][0]
    as_yaml = await send(cluster, "GET", url + "/p", accept="application/json;q=0.5, application/yaml;q=0.9")
    assert as_yaml.headers["content-type"] == "application/yaml" and b"kind: Pod" in as_yaml.body
    assert (await send(cluster, "GET", url, accept="text/csv")).status == 406
    assert (await send(cluster, "GET", url + "?includeObject=Foo", accept=TABLE)).status == 400
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
              "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    answer = await send(cluster, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, accept=TABLE)
    assert answer.status == 406 and answer.json["reason"] == "NotAcceptable"


@bare
async def test_reading_at_least_a_revision(cluster):
    made = await cluster.client.create("configmaps", config_map("a"))
    version = made["metadata"]["resourceVersion"]
    assert (await send(cluster, "GET", f"{CMS}/a?resourceVersion={version}")).status == 200
    assert (await send(cluster, "GET", f"{CMS}/a?resourceVersion=x")).status == 500


@pytest.mark.parametrize("accept, aggregated", [
    ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", True),
    ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", False),
    ("application/json", False), ("*/*", False)])
@bare
async def test_aggregated_discovery_is_v2_only(cluster, accept, aggregated):
    answer = (await send(cluster, "GET", "/apis", accept=accept)).json
    assert answer["kind"] == ("APIGroupDiscoveryList" if aggregated else "APIGroupList")
