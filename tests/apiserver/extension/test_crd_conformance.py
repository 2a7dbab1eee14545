"""Custom resource definitions and their objects, as conformance tries them."""

import asyncio
import json

from tests.apiserver import hook_server
from tests.apiserver.test_kubectl_view import kubectl
from tests.apiserver.wire import send

import kubewheel.testing as testing
from kubewheel.api.resource import Gvr

bare = testing.with_cluster(nodes=0, controllers="", scheduler=False)
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def version(name, schema=ANY, *, storage=False, served=True, **more):
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def crd(plural, *versions, group="c.example.com", labels=None, **spec):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}", "labels": labels or {}},
            "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": plural[:-1].title()},
                     "versions": list(versions) or [version("v1", storage=True)], **spec}}


def is_true(condition):
    return lambda c: any(x["type"] == condition and x["status"] == "True"
                         for x in (c.get("status") or {}).get("conditions") or ())


async def established(cluster, definition):
    await cluster.client.create(CRDS, definition)
    return await cluster.wait_for(CRDS, definition["metadata"]["name"], is_true("Established"), namespace=None)


async def eventually(work):
    async with asyncio.timeout(5):
        while not (found := await work()):
            await asyncio.sleep(0.01)
    return found


async def document(cluster, path):
    return json.loads((await cluster.client.raw("GET", path)).body)


@bare
async def test_definitions_are_watched_listed_and_deleted(cluster):
    client = cluster.client
    listed = await client.list(CRDS)
    for i in range(10):
        await client.create(CRDS, crd(f"mine{i}s", labels={"mine": "yes"}))
    await client.create(CRDS, crd("others"))
    assert len((await client.list(CRDS, label_selector="mine=yes"))["items"]) == 10
    await cluster.wait_for(CRDS, "mine0s.c.example.com", is_true("Established"), namespace=None)
    await client.delete_collection(CRDS, label_selector="mine=yes")
    for i in range(10):
        await cluster.wait_gone(CRDS, f"mine{i}s.c.example.com", namespace=None)
    assert [c["metadata"]["name"] for c in (await client.list(CRDS))["items"]] == ["others.c.example.com"]
    seen = []
    async with asyncio.timeout(5):
        async for kind, obj in client.watch(CRDS, resource_version=listed["metadata"]["resourceVersion"],
                                            field_selector="metadata.name=mine0s.c.example.com"):
            seen.append((kind, obj))
            if kind == "DELETED":
                break
    kinds = [kind for kind, _ in seen]
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("ADDED", "DELETED", {"MODIFIED"})
    assert seen[-1][1]["status"]["conditions"][-1]["type"] == "Terminating"


@bare
async def test_conditions_and_the_status_subresource(cluster):
    client, name = cluster.client, "things.c.example.com"
    seen = await established(cluster, crd("things"))
    told = [(c["type"], c["status"], c["reason"], c["message"]) for c in seen["status"]["conditions"]]
    assert told == [("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
                    ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}/status"
    status = await document(cluster, path)
    status["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "set",
                                           "lastTransitionTime": None})
    await client.update_status(CRDS, status)
    patch = {"metadata": {"annotations": {"ignored": "yes"}}, "status": {"acceptedNames": {"categories": ["patched"]}}}
    await client.patch(CRDS, name, patch, subresource="status")
    seen = await client.get(CRDS, name)
    assert is_true("StatusUpdate")(seen)


@bare
async def test_names_in_use(cluster):
    await established(cluster, crd("things", names={"plural": "things", "kind": "Thing", "shortNames": ["th"]}))
    await cluster.client.create(CRDS, crd("others", names={"plural": "others", "kind": "Other", "shortNames": ["th"]}))
    refused = await cluster.wait_for(CRDS, "others.c.example.com", lambda c: (c.get("status") or {}).get("conditions"),
                                     namespace=None)
    assert [(c["type"], c["status"], c["reason"], c["message"]) for c in refused["status"]["conditions"]] == [
        ("NamesAccepted", "False", "ShortNamesConflict", '"th" is already in use'),
        ("Established", "False", "NotAccepted", "not all names are accepted")]
    await cluster.client.create(CRDS, crd("thirds", names={"plural": "thirds", "kind": "Third", "shortNames": ["th"]}))
    await cluster.client.delete(CRDS, "thirds.c.example.com")  # one that never was established goes at once
    await cluster.wait_gone(CRDS, "thirds.c.example.com", namespace=None)
    await cluster.client.delete(CRDS, "things.c.example.com")
    await cluster.wait_for(CRDS, "others.c.example.com", is_true("Established"), namespace=None)


@bare
async def test_discovery(cluster):
    groups = {g["name"]: g for g in (await document(cluster, "/apis"))["groups"]}
    assert {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"} in groups["apiextensions.k8s.io"]["versions"]
    assert (await document(cluster, "/apis/apiextensions.k8s.io"))["preferredVersion"]["version"] == "v1"
    names = [r["name"] for r in (await document(cluster, "/apis/apiextensions.k8s.io/v1"))["resources"]]
    assert names == ["customresourcedefinitions", "customresourcedefinitions/status"]


@bare
async def test_what_is_published(cluster):
    client = cluster.client

    async def models():
        return set((await document(cluster, "/openapi/v2"))["definitions"])

    async def told(*wanted):
        return {f"com.example.{w}" for w in wanted} <= await models()

    await established(cluster, crd("things", version("v1", storage=True), version("v2")))
    await established(cluster, crd("waldos"))
    await established(cluster, crd("foos", group="d.example.com"))
    await eventually(lambda: told("c.v1.Thing", "c.v2.Thing", "c.v1.Waldo", "d.v1.Foo"))
    paths = (await document(cluster, "/openapi/v3"))["paths"]
    assert {"apis/c.example.com/v1", "apis/c.example.com/v2", "apis/d.example.com/v1"} <= set(paths)
    rename = [{"op": "replace", "path": "/spec/versions/1/name", "value": "v3"}]
    await client.patch(CRDS, "things.c.example.com", rename, type="application/json-patch+json")
    await eventually(lambda: told("c.v3.Thing"))
    assert "com.example.c.v2.Thing" not in await models()
    stop = [{"op": "replace", "path": "/spec/versions/1/served", "value": False}]
    await client.patch(CRDS, "things.c.example.com", stop, type="application/json-patch+json")

    async def gone():
        return "com.example.c.v3.Thing" not in await models()

    await eventually(gone)
    assert await told("c.v1.Thing")


FOO = {"type": "object", "description": "Foo CRD for Testing", "properties": {
    "spec": {"type": "object", "description": "Specification of Foo", "properties": {
        "bars": {"description": "List of Bars and their specs.", "type": "array", "items": {
            "type": "object", "required": ["name"], "properties": {
                "name": {"description": "Name of Bar.", "type": "string"},
                "age": {"description": "Age of Bar.", "type": "string"}}}}}},
    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}


@bare
async def test_kubectl_validates_and_explains(cluster):
    await established(cluster, crd("foos", version("v1", FOO, storage=True)))
    nested = {"type": "object", "description": "preserve-unknown-properties in nested field for Testing", "properties": {
        "spec": {"description": "Specification of Waldo", **ANY}}}
    await established(cluster, crd("waldos", version("v1", nested, storage=True)))
    await established(cluster, crd("roots"))
    config = await cluster.kubeconfig()

    def text(kind, **fields):
        return json.dumps({"apiVersion": "c.example.com/v1", "kind": kind, "metadata": {"name": "x"}, **fields})

    good = text("Foo", spec={"bars": [{"name": "a"}]})
    assert "foo.c.example.com/x created" in await kubectl(config, "create", "-f", "-", text=good)
    assert "configured" in await kubectl(config, "apply", "-f", "-", text=text("Foo", spec={"bars": [{"name": "b"}]}))
    for words, body in ((("create",), {"foo": 1}), (("apply",), {"bars": [{"age": "1"}]})):
        said = await kubectl(config, *words, "-f", "-", text=text("Foo", spec=body), code=1)
        assert "unknown field \"spec.foo\"" in said or "spec.bars[0].name: Required value" in said
    for kind in ("Waldo", "Root"):
        free = {"spec": {"a": {"b": 1}}, **({"any": 1} if kind == "Root" else {})}
        assert "created" in await kubectl(config, "create", "-f", "-", text=text(kind, **free))
    foo = await kubectl(config, "explain", "foos")
    assert "KIND:       Foo" in foo and "Foo CRD for Testing" in foo and "Specification of Foo" in foo
    assert "Name of Bar." in await kubectl(config, "explain", "foos.spec.bars")
    assert "does not exist" in await kubectl(config, "explain", "foos.spec.bars2", code=1)
    assert "KIND:       Root" in await kubectl(config, "explain", "roots")
    assert "preserve-unknown-properties in nested field for Testing" in await kubectl(config, "explain", "waldos")


STRICT = "?fieldValidation=Strict"
URL = "/apis/c.example.com/v1/namespaces/default/things"


def raw(name, inner, **more):
    """A body as text, so that keys may stand there twice."""
    head = f'"apiVersion":"c.example.com/v1","kind":"Thing","metadata":{{"name":"{name}"{more.get("meta", "")}}}'
    return f"{{{head}{inner}}}".encode()


@bare
async def test_field_validation(cluster):
    spec = {"type": "object", "properties": {"known": {"type": "string"}, "template": {
        "type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}}}
    await established(cluster, crd("things", version("v1", {"type": "object", "properties": {"spec": spec}}, storage=True)))
    ok = await send(cluster, "POST", URL + STRICT, raw("a", ',"spec":{"known":"x"}'))
    assert ok.status == 201
    for body, said in (
            (raw("b", ',"spec":{"known":"x","extra":1}'), 'unknown field "spec.extra"'),
            (raw("b", ',"spec":{"known":"x","known":"y"}'), 'duplicate field "spec.known"'),
            (raw("b", "", meta=',"unknownMeta":"x"'), 'unknown field "metadata.unknownMeta"'),
            (raw("b", ',"spec":{"template":{"apiVersion":"v1","kind":"X","metadata":{"name":"t","unknownSubMeta":1}}}'),
             'unknown field "spec.template.metadata.unknownSubMeta"')):
        refused = await send(cluster, "POST", URL + STRICT, body)
        assert (refused.status, refused.json["message"]) == (400, (
            f'Thing in version "v1" cannot be handled as a Thing: strict decoding error: {said}'))
        warned = await send(cluster, "POST", URL + "?fieldValidation=Warn&dryRun=All", body)
        assert warned.status == 201 and warned.warnings == [said]
        ignored = await send(cluster, "POST", URL + "?fieldValidation=Ignore&dryRun=All", body)
        assert ignored.status == 201 and not ignored.warnings
    applied = await send(cluster, "PATCH", URL + "/c?fieldManager=m&fieldValidation=Strict", raw("c", ',"spec":{"extra":1}'),
                         content_type="application/apply-patch+yaml")
    assert applied.status == 500 and ".spec.extra: field not declared in schema" in applied.json["message"]


@bare
async def test_field_validation_where_unknown_fields_are_kept(cluster):
    await established(cluster, crd("things"))
    ok = await send(cluster, "POST", URL + STRICT, raw("a", ',"spec":{"any":{"thing":1}}'))
    assert ok.status == 201 and ok.json["spec"] == {"any": {"thing": 1}}
    applied = await send(cluster, "PATCH", URL + "/c?fieldManager=m&fieldValidation=Strict", raw("c", ',"spec":{"extra":1}'),
                         content_type="application/apply-patch+yaml")
    assert applied.status == 201
    refused = await send(cluster, "POST", URL + STRICT, raw("b", ',"spec":{"x":1,"x":2}'))
    assert refused.status == 400 and 'duplicate field "spec.x"' in refused.json["message"]


@bare
async def test_field_selectors_in_every_version(cluster, tmp_path):
    client, one, two = cluster.client, Gvr("c.example.com", "v1", "hosts"), Gvr("c.example.com", "v2", "hosts")

    def schema(*names):
        return {"type": "object", "properties": {n: {"type": "string"} for n in names}}

    def convert(obj, wanted):
        out = {**obj, "apiVersion": wanted}
        if wanted.endswith("v2") and "hostPort" in out:
            out["host"], out["port"] = out.pop("hostPort").split(":")
        elif wanted.endswith("v1") and "host" in out:
            out["hostPort"] = f"{out.pop('host')}:{out.pop('port')}"
        return out

    async with hook_server.serving(tmp_path, convert=convert) as config:
        await established(cluster, crd(
            "hosts", version("v1", schema("hostPort"), storage=True, selectableFields=[{"jsonPath": ".hostPort"}]),
            version("v2", schema("host", "port"), selectableFields=[{"jsonPath": ".host"}, {"jsonPath": ".port"}]),
            conversion={"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": ["v1"]}}))

        def obj(name, **fields):
            api = "c.example.com/v2" if "host" in fields else "c.example.com/v1"
            return {"apiVersion": api, "kind": "Host", "metadata": {"name": name, "namespace": "default"}, **fields}

        await client.create(one, obj("a", hostPort="h1:80"))
        await client.create(two, obj("b", host="h1", port="81"))
        await client.create(one, obj("c", hostPort="h2:80"))

        async def names(gvr, selector):
            return [o["metadata"]["name"] for o in (await client.list(gvr, field_selector=selector))["items"]]

        assert await names(two, "host=h1") == ["a", "b"] and await names(two, "host=h1,port=80") == ["a"]
        assert await names(one, "hostPort=h1:81") == ["b"] and await names(two, "host!=h1") == ["c"]
        refused = await send(cluster, "GET", URL.replace("things", "hosts") + "?fieldSelector=host%3Dh1")
        assert refused.status == 400 and "field label not supported: host" in refused.json["message"]
        seen = []
        async with asyncio.timeout(5):
            async for kind, found in client.watch(two, namespace="default", field_selector="host=h1"):
                seen.append((kind, found["metadata"]["name"]))
                if len(seen) == 2:
                    await client.patch(two, "a", {"host": "h3"}, namespace="default")
                if len(seen) == 3:
                    await client.patch(one, "c", {"hostPort": "h1:1"}, namespace="default")
                if len(seen) == 4:
                    await client.delete(two, "b", namespace="default")
                if len(seen) == 5:
                    break
        assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("ADDED", "c"), ("DELETED", "b")]
        published = (await document(cluster, "/openapi/v3/apis/c.example.com/v2"))["components"]["schemas"]
        assert published["com.example.c.v2.Host"]["x-kubernetes-selectable-fields"] == [
            {"fieldPath": "host"}, {"fieldPath": "port"}]


@bare
async def test_a_list_of_mixed_storage(cluster, tmp_path):
    client, one, two = cluster.client, Gvr("c.example.com", "v1", "hosts"), Gvr("c.example.com", "v2", "hosts")

    def convert(obj, wanted):
        return {**obj, "apiVersion": wanted, "through": "webhook"}

    async with hook_server.serving(tmp_path, convert=convert) as config:
        versions = [version("v1", storage=True), version("v2")]
        await established(cluster, crd("hosts", *versions, conversion={"strategy": "Webhook", "webhook": {
            "clientConfig": config, "conversionReviewVersions": ["v1"]}}))
        await client.create(one, {"apiVersion": "c.example.com/v1", "kind": "Host",
                                  "metadata": {"name": "a", "namespace": "default"}})
        assert (await client.get(two, "a", namespace="default"))["apiVersion"] == "c.example.com/v2"
        versions[0]["storage"], versions[1]["storage"] = False, True
        await client.patch(CRDS, "hosts.c.example.com", {"spec": {"versions": versions}})
        await cluster.wait_for(CRDS, "hosts.c.example.com", lambda c: c["status"]["storedVersions"] == ["v1", "v2"],
                               namespace=None)
        await client.create(two, {"apiVersion": "c.example.com/v2", "kind": "Host",
                                  "metadata": {"name": "b", "namespace": "default"}})
        listed = await client.list(two, namespace="default")
        assert [(o["metadata"]["name"], o["apiVersion"]) for o in listed["items"]] == [
            ("a", "c.example.com/v2"), ("b", "c.example.com/v2")]


@bare
async def test_defaults_and_nulls(cluster):
    fields = {"foo": {"type": "string", "default": "bar"}, "bar": {"type": "string", "nullable": True},
              "baz": {"type": "string"}}
    await established(cluster, crd("things", version("v1", {"type": "object", "properties": {"spec": {
        "type": "object", "properties": fields}}}, storage=True)))
    made = await send(cluster, "POST", URL, {"apiVersion": "c.example.com/v1", "kind": "Thing", "metadata": {"name": "a"},
                                             "spec": {"foo": None, "bar": None, "baz": None}})
    assert made.json["spec"] == {"foo": "bar", "bar": None}
