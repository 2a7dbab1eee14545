"""What clients are answered in: the Accept header alone, then over the wire: protobuf of every verb, and what is refused."""

import asyncio

import pytest
from tests.api.protobuf_oracle import view
from tests.apiserver.wire import account, config_map, deployment, pod, send

from kubewheel.api import errors
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.api.protobuf import kinds
from kubewheel.apiserver import media_types
from kubewheel.apiserver.media_types import CUSTOM, DISCOVERY, PLAIN, RESOURCE, Form, negotiate
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
PROTOBUF = "application/vnd.kubernetes.protobuf"
PODS = "/api/v1/namespaces/default/pods"
CMS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
META_AS = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST_AS = META_AS.replace("Metadata", "MetadataList")
TABLE_AS = ";as=Table;g=meta.k8s.io;v=v1"


# -- the header alone -----------------------------------------------------------------------------------------------------
WATCH = media_types.OFFERS[False, True]


@pytest.mark.parametrize("accept,offer,form", [
    ("", RESOURCE, Form("json")), ("*/*", RESOURCE, Form("json")), ("application/*", RESOURCE, Form("json")), ("*", PLAIN, Form("json")),
    (PROTOBUF, RESOURCE, Form("protobuf")), ("application/yaml", RESOURCE, Form("yaml")),
    (f"{PROTOBUF},application/json", RESOURCE, Form("protobuf")), (f"application/json,{PROTOBUF}", RESOURCE, Form("json")),
    (f"{PROTOBUF};q=0.5, application/yaml;q=0.9", RESOURCE, Form("yaml")),
    (f"text/html;q=1,{PROTOBUF};q=0.1", RESOURCE, Form("protobuf")), (f"*/*;q=0.9,{PROTOBUF};q=0.1", RESOURCE, Form("protobuf")),
    ("application/json;q=x, application/yaml;q=0.2", RESOURCE, Form("yaml")),
    (f"{PROTOBUF}{META_AS}", RESOURCE, Form("protobuf", "PartialObjectMetadata")),
    (f"{PROTOBUF}{META_AS}", CUSTOM, Form("protobuf", "PartialObjectMetadata")),
    (f"{PROTOBUF}{META_AS},application/json{META_AS},application/json", PLAIN, Form("json")),
    (f"{PROTOBUF}{TABLE_AS},application/json{TABLE_AS}", RESOURCE, Form("json", "Table")),
    (f"*/*{TABLE_AS}", RESOURCE, Form("json", "Table")),
    ("application/json;as=Table;g=meta.k8s.io;v=v1beta1", RESOURCE, Form("json", "Table", "v1beta1")),
    (f"{PROTOBUF},application/json", CUSTOM, Form("json")), ("application/json;as=Nope,application/yaml", RESOURCE, Form("yaml")),
    ("application/json;pretty=1", PLAIN, Form("json", pretty=True)), ("application/yaml;pretty=1", PLAIN, Form("yaml")),
    (f"{PROTOBUF};stream=watch", WATCH, Form("protobuf")), ("application/yaml;stream=watch,application/json", WATCH, Form("json")),
    ("application/json;sv=v1", RESOURCE, Form("json")), ("application/json;sv=v2,application/yaml", RESOURCE, Form("yaml")),
    ("application/json;stream=x,application/yaml", RESOURCE, Form("yaml")), ("application/json;unknown=1", RESOURCE, Form("json")),
    (" application / json ;q = 1", RESOURCE, Form("json")),
    ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", DISCOVERY, Form("json", "APIGroupDiscoveryList", "v2")),
    ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", DISCOVERY, Form("json")),
])
def test_the_first_clause_that_can_be_served(accept, offer, form):
    assert negotiate(accept, offer) == form


@pytest.mark.parametrize("accept,offer", [
    ("text/html", RESOURCE), (f"{PROTOBUF}{TABLE_AS}", RESOURCE), (PROTOBUF, CUSTOM), (f"application/json{TABLE_AS}", PLAIN),
    ("json", RESOURCE), ("a/b/c", RESOURCE), (",,;", RESOURCE), ("*/json", RESOURCE), ("application/json;as=Table", RESOURCE),
])
def test_what_nothing_can_be_served_of(accept, offer):
    with pytest.raises(errors.StatusError) as caught:
        negotiate(accept, offer)
    assert (caught.value.code, caught.value.reason) == (406, "NotAcceptable")
    assert caught.value.message == ("only the following media types are accepted: application/json, application/yaml, "
                                    "application/vnd.kubernetes.protobuf")


def test_yaml_has_no_stream():
    """And is not passed over for what else the client takes."""
    for accept in ("application/yaml", "application/yaml,application/json"):
        with pytest.raises(errors.StatusError, match="accepted: application/json;stream=watch, application/vnd.kuber") as caught:
            negotiate(accept, WATCH)
        assert caught.value.code == 406


def test_humans_get_indented_json():
    assert media_types.is_pretty({}, "curl/8.1") and media_types.is_pretty({"pretty": ["1"]}, "")
    assert not media_types.is_pretty({"pretty": ["false"]}, "curl/8.1") and not media_types.is_pretty({}, "kubectl/v1.37")
    assert negotiate("application/yaml", PLAIN, pretty=True) == Form("yaml")


# -- over the wire ----------------------------------------------------------------------------------------------------------
async def ask(cluster, method, url, obj=None, *, code=200, as_="", **headers):
    """The object that is answered in protobuf to a body in protobuf."""
    body = protobuf.encode(obj, kinds.known(obj["apiVersion"], obj["kind"])) if obj is not None else None
    answer = await send(cluster, method, url, body, content_type=PROTOBUF, accept=PROTOBUF + as_, **headers)
    assert (answer.status, answer.headers["content-type"]) == (code, PROTOBUF), answer.body
    return protobuf.decode(answer.body, default=("v1", ""))


async def events(answer, count, timeout=5.0):
    """The first `count` events of a watch in protobuf; it is closed then."""
    found, rest = [], b""
    try:
        async with asyncio.timeout(timeout):
            async for chunk in answer.chunks:
                frames, rest = protobuf.read_frames(rest + chunk)
                found += [protobuf.read_event(f) for f in frames]
                if len(found) >= count:
                    break
    finally:
        await answer.chunks.aclose()
    return found


def without(obj, *names):
    return {k: v for k, v in obj.items() if k not in names}


@bare
async def test_every_verb_of_an_object(cluster):
    made = await ask(cluster, "POST", DEPLOYMENTS, deployment("web"), code=201)
    assert made["kind"] == "Deployment" and made["spec"]["template"]["spec"]["containers"][0]["image"] == "example/web:1"
    assert made == await ask(cluster, "GET", DEPLOYMENTS + "/web")
    seen = (await send(cluster, "GET", DEPLOYMENTS + "/web")).json
    assert seen["metadata"] == made["metadata"] and seen["spec"]["replicas"] == made["spec"]["replicas"] == 1
    made["spec"]["replicas"] = 3
    updated = await ask(cluster, "PUT", DEPLOYMENTS + "/web", made)
    assert updated["spec"]["replicas"] == 3 and updated["metadata"]["generation"] == 2
    patched = protobuf.decode((await send(cluster, "PATCH", DEPLOYMENTS + "/web", {"metadata": {"labels": {"a": "b"}}},
                                          content_type="application/merge-patch+json", accept=PROTOBUF)).body)
    assert patched["metadata"]["labels"] == {"a": "b"}
    listed = await ask(cluster, "GET", DEPLOYMENTS)
    assert (listed["kind"], listed["apiVersion"]) == ("DeploymentList", "apps/v1")
    assert listed["items"] == [without(patched, "apiVersion", "kind")] and listed["metadata"]["resourceVersion"]
    options = {"apiVersion": "apps/v1", "kind": "DeleteOptions", "preconditions": {"uid": "other"}}
    refused = await ask(cluster, "DELETE", DEPLOYMENTS + "/web", options, code=409)
    assert refused["kind"] == "Status" and "in the precondition (other)" in refused["message"] and refused["code"] == 409
    gone = await ask(cluster, "DELETE", DEPLOYMENTS + "/web", without(options, "preconditions"))
    assert (gone["kind"], gone["status"], gone["details"]["name"]) == ("Status", "Success", "web")
    missing = await ask(cluster, "GET", DEPLOYMENTS + "/web", code=404)
    assert missing["details"] == {"name": "web", "group": "apps", "kind": "deployments"} and missing["reason"] == "NotFound"


@bare
async def test_subresources_and_reviews(cluster):
    await account(cluster)
    await ask(cluster, "POST", DEPLOYMENTS, deployment("web"), code=201)
    scale = await ask(cluster, "GET", DEPLOYMENTS + "/web/scale")
    assert (scale["apiVersion"], scale["kind"], scale["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 1})
    scale["spec"]["replicas"] = 5
    assert (await ask(cluster, "PUT", DEPLOYMENTS + "/web/scale", scale))["spec"] == {"replicas": 5}
    made = await ask(cluster, "POST", PODS, pod("p"), code=201)
    made["status"] |= {"phase": "Running", "containerStatuses": [
        {"name": "main", "ready": False, "restartCount": 0, "image": "", "imageID": "", "started": False}]}
    seen = (await send(cluster, "PUT", PODS + "/p/status", protobuf.encode(made, "io.k8s.api.core.v1.Pod"),
                       content_type=PROTOBUF)).json
    assert seen["status"]["containerStatuses"][0] | {"ready": False, "restartCount": 0, "started": False} == (
        seen["status"]["containerStatuses"][0])
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    await cluster.client.create("nodes", {"metadata": {"name": "n"}})
    assert (await ask(cluster, "POST", PODS + "/p/binding", binding, code=201))["status"] == "Success"
    assert (await ask(cluster, "GET", PODS + "/p"))["spec"]["nodeName"] == "n"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert (await ask(cluster, "POST", PODS + "/p/eviction", eviction, code=201))["status"] == "Success"
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
              "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    told = await ask(cluster, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, code=201)
    assert told["status"]["allowed"] is True
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {"audiences": ["x"]}}
    told = await ask(cluster, "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", token, code=201)
    assert told["status"]["token"].count(".") == 2 and told["spec"]["expirationSeconds"] == 3600


@bare
async def test_watches(cluster):
    await cluster.server.bootstrap.wait_ready()  # revisions stand still, so that all watches begin at the same one
    await cluster.client.create("configmaps", config_map("a", labels={"x": "y"}))
    url = CMS + "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    both = [await send(cluster, "GET", url, accept=PROTOBUF + ";stream=watch") for _ in range(2)]
    assert both[0].headers["content-type"] == PROTOBUF + ";stream=watch"
    plain = await send(cluster, "GET", url)
    partial = await send(cluster, "GET", url, accept=PROTOBUF + META_AS)
    await cluster.client.create("configmaps", config_map("b"))
    await cluster.client.patch("configmaps", "b", {"data": {"a": "2"}}, namespace="default")
    await cluster.client.delete("configmaps", "b", namespace="default")
    found = [await events(answer, 5) for answer in both]
    expected = [(line["type"], line["object"]) for line in await plain.lines(5)]
    assert found[0] == found[1] == expected
    assert [kind for kind, _ in expected] == ["ADDED", "BOOKMARK", "ADDED", "MODIFIED", "DELETED"]
    assert expected[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    for (kind, meta), (full_kind, obj) in zip(await events(partial, 5), expected, strict=True):
        assert kind == full_kind and meta == {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": obj["metadata"]}


@with_cluster(nodes=0, controllers="", scheduler=False, virtual_time=True)
async def test_bookmarks_and_errors_of_watches(cluster):
    answer = await send(cluster, "GET", CMS + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=100", accept=PROTOBUF)
    [(kind, obj)] = (await events(answer, 1, timeout=90))[-1:]
    assert (kind, obj["kind"]) == ("BOOKMARK", "ConfigMap") and obj["metadata"]["resourceVersion"]
    await cluster.control_plane.store.compact(cluster.control_plane.store.revision())
    cluster.server.watch_cache.resource("configmaps").since = 10**6
    answer = await send(cluster, "GET", CMS + "?watch=1&resourceVersion=1", accept=PROTOBUF)
    [(kind, status)] = await events(answer, 1)
    assert kind == "ERROR" and (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")


@bare
async def test_partial_metadata_and_tables(cluster):
    made = await ask(cluster, "POST", CMS, config_map("a", annotations={"k": "v" * 200}), code=201)
    alone = await ask(cluster, "GET", CMS + "/a", as_=META_AS)
    assert alone == {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": made["metadata"]}
    await ask(cluster, "GET", CMS)  # from now on metadata is cut out of the whole
    listed = await ask(cluster, "GET", CMS, as_=LIST_AS)
    assert (listed["kind"], listed["items"]) == ("PartialObjectMetadataList", [{"metadata": made["metadata"]}])
    wrong = await send(cluster, "GET", CMS, accept=PROTOBUF + META_AS)
    assert wrong.status == 406 and wrong.json["message"] == (
        "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)")
    table = await send(cluster, "GET", CMS, accept=f"{PROTOBUF}{TABLE_AS},application/json{TABLE_AS}")
    assert table.headers["content-type"] == "application/json" and table.json["kind"] == "Table"
    refused = await send(cluster, "GET", CMS, accept=PROTOBUF + TABLE_AS)
    assert refused.status == 406 and "the following media types are accepted" in refused.json["message"]


@bare
async def test_nothing_is_done_for_whom_nothing_can_be_answered(cluster):
    answer = await send(cluster, "POST", CMS, config_map("a"), accept="text/html")
    assert answer.status == 406 and answer.json["reason"] == "NotAcceptable" and answer.body.startswith(b"{\n  ")
    assert (await send(cluster, "GET", CMS + "/a")).status == 404
    answer = await send(cluster, "GET", CMS + "?watch=1", accept="application/yaml")
    assert answer.status == 406 and b"application/json;stream=watch" in answer.body and b"\nreason: NotAcceptable" in answer.body


@bare
async def test_bodies_that_are_no_protobuf_change_nothing(cluster):
    good = protobuf.encode(config_map("a"), "io.k8s.api.core.v1.ConfigMap")
    for body, part in (
        (b"", "the object provided is unrecognized (must be of type ConfigMap): empty data (<empty>)"),
        (b"\xff\x00", "must be of type ConfigMap): provided data does not appear to be a protobuf message, expected prefix "
                      "[107 56 115 0] (ff00)"),
        (good[:40], "unexpected EOF (6b3873000a0f"), (good[:4] + b"\x0f", "illegal wireType 7"),
        (protobuf.encode(pod("a"), "io.k8s.api.core.v1.Pod"), 'Pod in version "v1" cannot be handled as a ConfigMap'),
        (protobuf.envelope("v1", "ConfigMap", b"\x12\x02\x08\x01"),
         'ConfigMap in version "v1" cannot be handled as a ConfigMap: proto: wrong wireType = 0 for field Metadata'),
        (protobuf.envelope("v1", "Nope", b"\x12\x00"), 'Nope in version "v1" cannot be handled as a ConfigMap: no kind "Nope"'),
    ):
        answer = await send(cluster, "POST", CMS, body, content_type=PROTOBUF)
        assert answer.status == 400 and part in answer.json["message"], answer.body
        told = protobuf.decode((await send(cluster, "POST", CMS, body, content_type=PROTOBUF, accept=PROTOBUF)).body)
        assert told == answer.json | {"metadata": {}}
    assert (await send(cluster, "GET", CMS)).json["items"] == []
    for cut in range(len(good) - 4):  # what is last tells of no encoding
        assert (await send(cluster, "POST", CMS, good[:cut], content_type=PROTOBUF)).status in (400, 422)
    unnamed = protobuf.envelope("", "", protobuf.item(config_map("a"), "io.k8s.api.core.v1.ConfigMap"))
    assert (await send(cluster, "POST", CMS, unnamed, content_type=PROTOBUF)).status == 201


@bare
async def test_custom_resources_have_protobuf_for_their_metadata_only(cluster):
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ts.example.com"},
                  "spec": {"group": "example.com", "scope": "Namespaced",
                           "names": {"plural": "ts", "kind": "T", "singular": "t", "listKind": "TList"},
                           "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                               "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = await ask(cluster, "POST", crds, definition, code=201)
    assert made["spec"]["versions"][0]["schema"] == definition["spec"]["versions"][0]["schema"]
    await cluster.wait_for("customresourcedefinitions.apiextensions.k8s.io", "ts.example.com", lambda d: any(
        c["type"] == "Established" and c["status"] == "True" for c in d.get("status", {}).get("conditions") or ()), namespace="")
    url = "/apis/example.com/v1/namespaces/default/ts"
    body = {"apiVersion": "example.com/v1", "kind": "T", "metadata": {"name": "a"}, "spec": {"x": 1}}
    assert (await send(cluster, "POST", url, body)).status == 201
    refused = await send(cluster, "POST", url, b"k8s\0", content_type=PROTOBUF)
    assert refused.status == 415 and refused.json["message"].endswith(
        "include: application/json, application/yaml, application/vnd.kubernetes.protobuf")
    for method in ("GET", "DELETE"):
        told = await send(cluster, method, url + "/a", accept=PROTOBUF)
        assert told.status == 406 and protobuf.decode(told.body)["reason"] == "NotAcceptable"
    both = await send(cluster, "GET", url + "/a", accept=PROTOBUF + ",application/json")
    assert both.headers["content-type"] == "application/json" and both.json["kind"] == "T"
    metadata = (await ask(cluster, "GET", url, as_=LIST_AS))["items"][0]["metadata"]
    assert metadata == both.json["metadata"]
    watch = await send(cluster, "GET", url + "?watch=1", accept=PROTOBUF + META_AS)
    assert (await events(watch, 1))[0][1]["metadata"] == metadata


@bare
async def test_discovery(cluster):
    for path, kind in (("/api", "APIVersions"), ("/apis", "APIGroupList"), ("/apis/apps", "APIGroup"), ("/api/v1", "APIResourceList"),
                       ("/apis/apps/v1", "APIResourceList")):
        found, plain = await ask(cluster, "GET", path), (await send(cluster, "GET", path)).json
        assert found["kind"] == kind and found.get("resources") == plain.get("resources") and found.get("groups") == plain.get("groups")
    yaml = await send(cluster, "GET", "/apis/apps", accept="application/yaml")
    assert yaml.headers["content-type"] == "application/yaml" and b"kind: APIGroup\n" in yaml.body
    aggregated = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    plain = await send(cluster, "GET", "/apis", accept="application/json" + aggregated)
    answer = await send(cluster, "GET", "/apis", accept=PROTOBUF + aggregated)
    assert answer.headers["content-type"] == PROTOBUF + aggregated
    definition = "io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList"
    assert without(protobuf.decode(answer.body), "apiVersion", "kind") == view(definition, plain.json)
    assert (await send(cluster, "GET", "/apis", accept="text/html")).status == 406


@bare
async def test_what_one_asked_for_the_next_gets_the_same_bytes(cluster):
    """One encoding a revision, shared by GET, LIST and WATCH; none where nobody asked."""
    for name in "ab":
        await cluster.client.create("configmaps", config_map(name))
    await cluster.client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    await ask(cluster, "GET", CMS)
    entries = cluster.server.watch_cache.resource("configmaps").under("/registry/configmaps/default/")
    items = [e.item for e in entries]
    assert len(items) == 2 and all(items)
    listed = (await send(cluster, "GET", CMS, accept=PROTOBUF)).body
    assert [e.item for e in entries] == items and all(i is e.item for i, e in zip(items, entries, strict=True))
    assert b"".join(items) in listed and items[0] in (await send(cluster, "GET", CMS + "/a", accept=PROTOBUF)).body
    secrets = cluster.server.watch_cache.resource("secrets").under("/registry/secrets/")
    assert secrets and all(e.item is None for e in secrets)


@bare
async def test_kinds_of_two_groups_are_each_answered_in_their_own(cluster):
    event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
             "reason": "R", "message": "m", "type": "Normal"}
    await cluster.client.create("events", event)
    for _ in range(2):
        old = await ask(cluster, "GET", "/api/v1/namespaces/default/events")
        new = await ask(cluster, "GET", "/apis/events.k8s.io/v1/namespaces/default/events")
        assert old["items"][0]["message"] == new["items"][0]["note"] == "m" and new["kind"] == old["kind"] == "EventList"
        assert (old["apiVersion"], new["apiVersion"]) == ("v1", "events.k8s.io/v1")


@bare
async def test_a_list_is_whole_though_its_objects_change_while_it_is_encoded(cluster):
    names = [f"cm-{i:03}" for i in range(200)]
    for name in names:
        await cluster.client.create("configmaps", config_map(name))
    for as_ in ("", LIST_AS):
        async with asyncio.TaskGroup() as tasks:
            listing = tasks.create_task(ask(cluster, "GET", CMS, as_=as_))
            for name in names:
                tasks.create_task(cluster.client.patch("configmaps", name, {"data": {"b": as_}}, namespace="default"))
        assert [i["metadata"]["name"] for i in listing.result()["items"]] == names
