"""Custom resources on the wire: generations, subresources, columns, versions, watches, names."""

import asyncio
import json

from tests.apiserver.extension.test_crd_conformance import CRDS, crd, established, eventually, version
from tests.apiserver.wire import send

import kubewheel.testing as testing

bare = testing.with_cluster(nodes=0, controllers="", scheduler=False)
URL = "/apis/c.example.com/v1/namespaces/default/things"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
FIELDS = {"type": "object", "properties": {
    "spec": {"type": "object", "properties": {"n": {"type": "integer"}, "a": {"type": "string"}, "b": {"type": "string"}, "list": {
        "type": "array", "items": {"type": "string"}}}},
    "status": {"type": "object", "properties": {"n": {"type": "integer"}, "selector": {"type": "string"}, "at": {
        "type": "string", "format": "date-time"}}}}}
SCALE = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".status.selector"}


def thing(name, api="v1", **fields):
    return {"apiVersion": f"c.example.com/{api}", "kind": "Thing", "metadata": {"name": name}, **fields}


@bare
async def test_generations_and_status(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True, subresources={"status": {}})))
    made = (await send(cluster, "POST", URL, thing("a", spec={"n": 1}, status={"n": 9}))).json
    assert made["metadata"]["generation"] == 1 and "status" not in made
    for path, patch, generation in (("/a", {"metadata": {"labels": {"x": "y"}}}, 1), ("/a", {"status": {"n": 3}}, 1),
                                    ("/a/status", {"status": {"n": 4}, "spec": {"n": 7}}, 1), ("/a", {"spec": {"n": 2}}, 2)):
        seen = (await send(cluster, "PATCH", URL + path, patch, content_type=MERGE)).json
        assert seen["metadata"]["generation"] == generation, (path, patch)
    assert (seen["spec"], seen["status"]) == ({"n": 2}, {"n": 4})
    labelled = (await send(cluster, "PATCH", URL + "/a/status", {"metadata": {"labels": {"z": "y"}}}, content_type=MERGE)).json
    assert labelled["metadata"]["labels"] == {"x": "y"}
    refused = await send(cluster, "PATCH", URL + "/a/status", {"status": {"n": "x"}}, content_type=MERGE)
    assert refused.status == 422 and "n in body must be of type integer" in refused.json["message"]


@bare
async def test_without_the_status_subresource(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True)))
    made = (await send(cluster, "POST", URL, thing("a", status={"n": 9}))).json
    assert made["status"] == {"n": 9}
    seen = (await send(cluster, "PATCH", URL + "/a", {"status": {"n": 3}}, content_type=MERGE)).json
    assert seen["metadata"]["generation"] == 2
    assert (await send(cluster, "GET", URL + "/a/status")).status == 404


@bare
async def test_scale(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True, subresources={"status": {}, "scale": SCALE})))
    await send(cluster, "POST", URL, thing("a", spec={"a": "x"}))
    missing = await send(cluster, "GET", URL + "/a/scale")
    assert missing.status == 500 and 'the spec replicas field ".spec.n" does not exist' in missing.json["message"]
    put = await send(cluster, "PUT", URL + "/a/scale", {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {
        "name": "a", "namespace": "default"}, "spec": {"replicas": 3}})
    assert put.status == 200, put.json
    await send(cluster, "PATCH", URL + "/a/status", {"status": {"n": 2, "selector": "a=b"}}, content_type=MERGE)
    scale = (await send(cluster, "GET", URL + "/a/scale")).json
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    live = (await send(cluster, "GET", URL + "/a")).json
    assert (live["spec"], live["metadata"]["generation"]) == ({"a": "x", "n": 3}, 2)
    assert "scale" not in {e.get("subresource") for e in live["metadata"]["managedFields"]}  # nobody had owned the number
    await send(cluster, "PATCH", URL + "/a", {"spec": {"n": 4}}, content_type=MERGE)
    await send(cluster, "PATCH", URL + "/a/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    live = (await send(cluster, "GET", URL + "/a")).json
    assert "scale" in {e.get("subresource") for e in live["metadata"]["managedFields"]}


@bare
async def test_a_json_patch_that_says_things_twice(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True)))
    await send(cluster, "POST", URL, thing("a", spec={"a": "x"}))
    twice = b'[{"op":"add","op":"remove","path":"/spec/a"}]'
    told = await send(cluster, "PATCH", URL + "/a", twice, content_type="application/json-patch+json")
    assert (told.status, told.warnings) == (200, ['json patch duplicate field "[0].op"'])
    refused = await send(cluster, "PATCH", URL + "/a?fieldValidation=Strict", b'[{"op":"test","op":"add","path":"/spec/a","value":"y"}]',
                         content_type="application/json-patch+json")
    assert refused.status == 422 and 'strict decoding error: json patch duplicate field "[0].op"' in refused.json["message"]


@bare
async def test_columns_names_and_patches(cluster):
    columns = [{"name": "N", "type": "integer", "jsonPath": ".spec.n", "description": "how many"},
               {"name": "List", "type": "string", "jsonPath": ".spec.list[*]", "priority": 1},
               {"name": "At", "type": "date", "jsonPath": ".status.at"},
               {"name": "Labels", "type": "string", "jsonPath": ".metadata.labels"}]
    await established(cluster, crd("things", version("v1", FIELDS, storage=True, additionalPrinterColumns=columns), names={
        "plural": "things", "kind": "Thing", "shortNames": ["th"], "categories": ["all"]}))
    made = await send(cluster, "POST", URL, thing("a", spec={"n": 3, "list": ["x", "y"]}, status={"at": "2020-01-01T00:00:00Z"}))
    assert made.status == 201
    table = (await send(cluster, "GET", URL, accept=TABLE)).json
    assert [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", 0), ("N", "integer", 0), ("List", "string", 1), ("At", "date", 0), ("Labels", "string", 0)]
    assert table["columnDefinitions"][1]["description"] == "how many"
    cells = table["rows"][0]["cells"]
    assert cells[:3] == ["a", 3, "x"] and cells[3].endswith("d") and cells[4] is None
    listed = json.loads((await cluster.client.raw("GET", "/apis/c.example.com/v1")).body)["resources"]
    assert [(r["name"], r.get("shortNames"), r.get("categories")) for r in listed] == [("things", ["th"], ["all"])]
    refused = await send(cluster, "PATCH", URL + "/a", {}, content_type="application/strategic-merge-patch+json")
    assert refused.status == 415
    for name, words in (("Bad_Name", "a lowercase RFC 1123 subdomain must consist of"), ("", "name or generateName is required")):
        answer = await send(cluster, "POST", URL, thing(name))
        assert answer.status == 422 and words in answer.json["message"]
    made = await send(cluster, "POST", URL, {**thing("a"), "metadata": {"generateName": "g-"}})
    assert made.json["metadata"]["name"].startswith("g-") and len(made.json["metadata"]["name"]) == 7


@bare
async def test_apply_in_two_versions(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True), version("v2", FIELDS)))
    two = URL.replace("/v1/", "/v2/")

    async def apply(url, manager, api, **spec):
        return await send(cluster, "PATCH", f"{url}/a?fieldManager={manager}", thing("a", api, spec=spec), content_type=APPLY)

    assert (await apply(URL, "one", "v1", a="x", n=1)).status == 201
    assert (await apply(two, "two", "v2", b="y")).status == 200
    clash = await apply(two, "two", "v2", b="y", a="z")
    assert clash.status == 409 and 'conflict with "one": .spec.a' in clash.json["message"]
    moved = await apply(two, "one", "v2", a="x")  # n is given up, though it was taken in the other version
    assert moved.json["spec"] == {"a": "x", "b": "y"}
    assert sorted((e["manager"], e["apiVersion"]) for e in moved.json["metadata"]["managedFields"]) == [
        ("one", "c.example.com/v2"), ("two", "c.example.com/v2")]


@bare
async def test_watches_end_when_the_definition_changes(cluster):
    await established(cluster, crd("things", version("v1", FIELDS, storage=True)))
    await send(cluster, "POST", URL, thing("a"))
    watch = await send(cluster, "GET", URL + "?watch=1")
    events = []

    async def follow():
        async for chunk in watch.chunks:
            events.extend(json.loads(line) for line in chunk.splitlines())

    following = asyncio.create_task(follow())
    await eventually(lambda: _true(events))
    await cluster.client.patch(CRDS, "things.c.example.com", {"spec": {"names": {"shortNames": ["th"]}}})
    await asyncio.wait_for(following, 5)
    assert [e["type"] for e in events] == ["ADDED"]


async def _true(value):
    return bool(value)
