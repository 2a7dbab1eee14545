"""What the server's core does for custom resources: defaults on reads, versions, definitions on their way out."""

import asyncio

from tests.apiserver.wire import send

from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
URL = "/apis/example.com/v1/namespaces/default/things"


def version(name, *, storage=True, served=True, **spec_fields):
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, **spec_fields}}
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": spec}}}}


def definition(*versions):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "versions": list(versions),
                     "names": {"plural": "things", "singular": "thing", "kind": "Thing"}}}


def thing(name, api="example.com/v1", **spec):
    return {"apiVersion": api, "kind": "Thing", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def established(cluster, *versions):
    await cluster.client.create(CRDS, definition(*versions))
    await cluster.wait_for(CRDS, "things.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)


async def eventually(cluster, check):
    for _ in range(200):
        answer = await check()
        if answer:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to be")


@bare
async def test_defaults_reach_what_was_stored_before(cluster):
    await established(cluster, version("v1"))
    assert (await send(cluster, "POST", URL, thing("old", size=1))).status == 201
    colour = {"type": "string", "default": "red"}
    await cluster.client.patch(CRDS, "things.example.com", {"spec": {"versions": [version("v1", colour=colour)]}})

    async def defaulted():
        return (await send(cluster, "GET", URL + "/old")).json["spec"].get("colour") == "red"

    await eventually(cluster, defaulted)
    listed = (await send(cluster, "GET", URL)).json
    assert listed["items"][0]["spec"] == {"size": 1, "colour": "red"}
    events = await (await send(cluster, "GET", URL + "?watch=1")).lines(1)
    assert events[0]["object"]["spec"]["colour"] == "red"
    await send(cluster, "POST", URL, thing("new", size=2))
    await cluster.client.patch(CRDS, "things.example.com", {"spec": {"versions": [version("v1", colour={"type": "string"})]}})

    async def plain():
        return "colour" not in (await send(cluster, "GET", URL + "/old")).json["spec"]

    await eventually(cluster, plain)
    assert (await send(cluster, "GET", URL + "/new")).json["spec"]["colour"] == "red", "written defaults stay"


@bare
async def test_versions_that_are_stored_but_not_served(cluster):
    await established(cluster, version("v1", served=False), version("v2", storage=False))
    two = URL.replace("/v1/", "/v2/")
    assert (await send(cluster, "POST", two, thing("a", "example.com/v2", size=1))).status == 201
    for method, path in (("GET", URL), ("GET", URL + "/a"), ("POST", URL), ("DELETE", URL + "/a")):
        answer = await send(cluster, method, path, thing("b") if method == "POST" else None)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")
    # the storage version moves on; what was stored stays readable in the version asked for
    await cluster.client.patch(CRDS, "things.example.com", {"spec": {"versions": [
        version("v1", storage=False), version("v2")]}})

    async def both():
        return (await send(cluster, "GET", URL + "/a")).status == 200

    await eventually(cluster, both)
    for path, api in ((URL, "example.com/v1"), (two, "example.com/v2")):
        assert (await send(cluster, "GET", path + "/a")).json["apiVersion"] == api
        assert (await send(cluster, "GET", path)).json["items"][0]["apiVersion"] == api
    patched = await send(cluster, "PATCH", two + "/a", {"spec": {"size": 5}}, content_type="application/merge-patch+json")
    assert patched.status == 200 and patched.json["spec"] == {"size": 5}


@bare
async def test_a_definition_on_its_way_out_takes_nothing_new(cluster):
    await established(cluster, version("v1"))
    held = thing("held", size=1)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await send(cluster, "POST", URL, held)
    await cluster.client.delete(CRDS, "things.example.com")

    async def refused():
        answer = await send(cluster, "POST", URL, thing("late"))
        return answer if answer.status == 403 else None

    answer = await eventually(cluster, refused)
    assert answer.json["message"] == (
        'things.example.com "late" is forbidden: create not allowed while custom resource definition is terminating')
    await send(cluster, "PATCH", URL + "/held", {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
    await cluster.wait_gone(CRDS, "things.example.com", namespace=None)
    assert (await send(cluster, "GET", URL)).body == b"404 page not found\n"


@bare
async def test_generation_counts_status_where_it_is_no_subresource(cluster):
    anything = version("v1")
    anything["schema"]["openAPIV3Schema"]["properties"]["status"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    await established(cluster, anything)
    assert (await send(cluster, "POST", URL, thing("g", size=1))).json["metadata"]["generation"] == 1
    merge = "application/merge-patch+json"
    told = await send(cluster, "PATCH", URL + "/g", {"status": {"ok": True}}, content_type=merge)
    assert told.json["metadata"]["generation"] == 2
    labelled = await send(cluster, "PATCH", URL + "/g", {"metadata": {"labels": {"a": "b"}}}, content_type=merge)
    assert labelled.json["metadata"]["generation"] == 2
    unpinned = await send(cluster, "PUT", URL + "/g", thing("g", size=2))
    assert unpinned.status == 422 and unpinned.json["message"].endswith(
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update")
    strategic = await send(cluster, "PATCH", URL + "/g", {}, content_type="application/strategic-merge-patch+json")
    assert strategic.status == 415


@bare
async def test_strict_custom_resources(cluster):
    await established(cluster, version("v1"))
    strict = await send(cluster, "POST", URL + "?fieldValidation=Strict",
                        b'{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"x"},"spec":{"size":1,"size":2,"no":1}}')
    assert strict.status == 400 and strict.json["message"].endswith(
        'strict decoding error: duplicate field "spec.size", unknown field "spec.no"')
    warned = await send(cluster, "POST", URL, thing("x", size=1, no=1))
    assert warned.warnings == ['unknown field "spec.no"'] and warned.json["spec"] == {"size": 1}
    applied = await send(cluster, "PATCH", URL + "/x?fieldManager=m", thing("x", no=1), content_type="application/apply-patch+yaml")
    assert applied.status == 500 and ".spec.no: field not declared in schema" in applied.json["message"]
