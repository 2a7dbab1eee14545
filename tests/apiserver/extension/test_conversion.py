"""Conversion webhooks: read, list, watch and write in versions that are not stored."""

import asyncio
import contextlib

import pytest
from aiohttp import web
from tests.apiserver import hook_server

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.api.resource import Gvr

V1, V2 = Gvr("c.example.com", "v1", "things"), Gvr("c.example.com", "v2", "things")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


@contextlib.asynccontextmanager
async def webhook(tmp_path, convert):
    async def handle(request):
        asked = (await request.json())["request"]
        answer = {"uid": asked["uid"], "result": {"status": "Success"},
                  "convertedObjects": [convert(o, asked["desiredAPIVersion"]) for o in asked["objects"]]}
        if any(o["metadata"]["name"] == "bad" for o in asked["objects"]):
            answer = {"uid": asked["uid"], "result": {"status": "Failure", "message": "not this one"}}
        return web.json_response({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": answer})

    async with hook_server.https(tmp_path, handle) as config:
        yield config


def swap(obj, wanted):
    """v1 has hostPort, v2 has host and port."""
    out = {**obj, "apiVersion": wanted}
    if wanted.endswith("v2"):
        out["host"], out["port"] = out.pop("hostPort").split(":")
    else:
        out["hostPort"] = f"{out.pop('host')}:{out.pop('port')}"
    return out


def crd(client_config):
    def version(name, storage, *fields):
        return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {f: {"type": "string"} for f in fields}}}}

    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.c.example.com"}, "spec": {
                "group": "c.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                "versions": [version("v1", True, "hostPort"), version("v2", False, "host", "port")],
                "conversion": {"strategy": "Webhook", "webhook": {
                    "clientConfig": client_config, "conversionReviewVersions": ["v1"]}}}}


def thing(name, version="v1", **fields):
    return {"apiVersion": f"c.example.com/{version}", "kind": "Thing",
            "metadata": {"name": name, "namespace": "default"}, **fields}




@testing.with_cluster()
async def test_all_verbs_in_the_other_version(cluster, tmp_path):
    client = cluster.client
    async with webhook(tmp_path, swap) as config:
        await client.create(CRDS, crd(config))
        async with asyncio.timeout(5):
            while not any(c["type"] == "Established" and c["status"] == "True" for c in (
                    (await client.get(CRDS, "things.c.example.com")).get("status") or {}).get("conditions") or ()):
                await asyncio.sleep(0.01)
        await client.create(V1, thing("a", hostPort="h:1"))
        got = await client.get(V2, "a", namespace="default")
        assert (got["apiVersion"], got["host"], got["port"]) == ("c.example.com/v2", "h", "1")
        made = await client.create(V2, thing("b", "v2", host="i", port="2"))
        assert made["host"] == "i" and "hostPort" not in made
        assert (await client.get(V1, "b", namespace="default"))["hostPort"] == "i:2"
        await client.update(V2, {**got, "port": "9"})
        listed = await client.list(V2, namespace="default")
        assert [(o["host"], o["port"]) for o in listed["items"]] == [("h", "9"), ("i", "2")]
        assert [o["hostPort"] for o in (await client.list(V1, namespace="default"))["items"]] == ["h:9", "i:2"]
        async with asyncio.timeout(5):
            seen = []
            async for kind, obj in client.watch(V2, namespace="default"):
                seen.append((kind, obj["apiVersion"], obj["host"]))
                if len(seen) == 2:
                    await client.delete(V1, "b", namespace="default")
                if len(seen) == 3:
                    break
        assert seen == [("ADDED", "c.example.com/v2", "h"), ("ADDED", "c.example.com/v2", "i"),
                        ("DELETED", "c.example.com/v2", "i")]
        patched = await client.patch(V2, "a", {"port": "3"}, namespace="default")
        assert patched["port"] == "3" and patched["apiVersion"] == "c.example.com/v2"
        await client.create(V1, thing("bad", hostPort="x:1"))
        with pytest.raises(errors.StatusError, match="failed: not this one"):
            await client.get(V2, "bad", namespace="default")


@pytest.mark.parametrize(("change", "words"), [
    (lambda o: {**o, "apiVersion": "c.example.com/v7"}, "returned invalid object at index 0: invalid groupVersion "
     "(expected c.example.com/v2, received c.example.com/v7)"),
    (lambda o: {**o, "metadata": {**o["metadata"], "name": "b"}},
     "returned invalid object: must have the same name: a != b"),
    (lambda o: {**o, "kind": "X"}, "returned invalid object at index 0: invalid kind (expected Thing, received X)"),
    (lambda o: {**o, "metadata": {**o["metadata"], "labels": 3}},
     "returned invalid metadata: invalid metadata.labels of type int64 in converted object")])
@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_what_a_conversion_may_not_change(cluster, tmp_path, change, words):
    async with webhook(tmp_path, lambda o, wanted: change(swap(o, wanted))) as config:
        await cluster.client.create(CRDS, crd(config))
        await cluster.wait_for(CRDS, "things.c.example.com", lambda c: any(
            x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
            namespace=None)
        await cluster.client.create(V1, thing("a", hostPort="h:1"))
        with pytest.raises(errors.StatusError) as e:
            await cluster.client.get(V2, "a", namespace="default")
        assert (e.value.code, e.value.message) == (500, f"conversion webhook for c.example.com/v1, Kind=Thing {words}")
