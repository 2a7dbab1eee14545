"""Creation and update over the wire: generated names, what clients may not set, sizes, what PUT may create."""

import random

import pytest
from tests.apiserver.wire import config_map, pod, send

from kubewheel.apiserver.verbs import write_meta
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CMS, LEASES = "/api/v1/namespaces/default/configmaps", "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE = "application/merge-patch+json"


@bare
async def test_generated_names_that_collide(cluster, monkeypatch):
    made = iter(["x-1", "x-1", "x-1", "x-2"])
    monkeypatch.setattr(write_meta, "generated", lambda call, base: next(made))
    body = {"metadata": {"generateName": "x-"}}
    names = [(await send(cluster, "POST", CMS, body)).json["metadata"]["name"] for _ in range(2)]
    assert names == ["x-1", "x-2"]
    tries = []
    monkeypatch.setattr(write_meta, "generated", lambda call, base: tries.append(base) or "x-1")
    for query in ("", "?dryRun=All"):
        tries.clear()
        taken = await send(cluster, "POST", CMS + query, body)
        assert taken.status == 409 and taken.json["reason"] == "AlreadyExists" and len(tries) == 8
        assert taken.json["message"] == (
            'configmaps "x-1" already exists, the server was not able to generate a unique name for the object')
        assert taken.json["details"] == {"name": "x-1", "kind": "configmaps", "retryAfterSeconds": 1}
        assert taken.headers["Retry-After"] == "1"


@bare
async def test_what_only_the_server_sets(cluster):
    then = "2001-01-01T00:00:00Z"
    made = await send(cluster, "POST", CMS, config_map(
        "a", uid="mine", creationTimestamp=then, deletionTimestamp=then, deletionGracePeriodSeconds=3, generation=7, selfLink="/x"))
    meta = made.json["metadata"]
    assert made.status == 201 and meta["uid"] != "mine" and meta["creationTimestamp"] != then
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"} & set(meta)
    versioned = await send(cluster, "POST", CMS, config_map("b", resourceVersion="5"))
    assert versioned.status == 500 and versioned.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
        "message": "resourceVersion should not be set on objects to be created"}
    for harmless in ("0", "-1", ""):
        assert (await send(cluster, "POST", CMS + "?dryRun=All", config_map("b", resourceVersion=harmless))).status == 201
    long = await send(cluster, "POST", CMS, {"metadata": {"generateName": "n" * 80}})
    assert len(long.json["metadata"]["name"]) == 63
    wrong = await send(cluster, "POST", "/api/v1/nodes", {"metadata": {"name": "n", "namespace": "default"}})
    assert wrong.status == 201 and "namespace" not in wrong.json["metadata"]


@bare
async def test_what_a_put_may_create(cluster):
    lease = {"metadata": {"name": "l", "resourceVersion": "4"}, "spec": {"holderIdentity": "me"}}
    made = await send(cluster, "PUT", LEASES + "/l", lease)
    assert made.status == 201 and made.json["metadata"]["uid"]
    other = await send(cluster, "PUT", LEASES + "/m", {"metadata": {"name": "m", "uid": "u-1"}})
    assert other.status == 409 and other.json["message"].endswith(
        "uid mismatch: the provided object specified uid u-1, and no existing object was found")
    absent = await send(cluster, "PUT", CMS + "/none", config_map("none"))
    assert absent.status == 404 and absent.json["message"] == 'configmaps "none" not found'
    unversioned = await send(cluster, "PUT", LEASES + "/l", {"metadata": {"name": "l"}})
    assert unversioned.status == 422 and unversioned.json["message"] == (
        'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update')
    await cluster.client.create("configmaps", config_map("a"))
    swapped = await send(cluster, "PUT", CMS + "/a", config_map("a", uid="other"))
    live = await cluster.client.get("configmaps", "a", namespace="default")
    assert swapped.status == 409 and swapped.json["message"] == (
        'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: '
        "/registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: "
        f"other, UID in object meta: {live['metadata']['uid']}")


@bare
async def test_what_is_too_large(cluster):
    rng = random.Random(1)
    half = "".join(rng.choices("abcdef", k=400_000))
    definition = {"metadata": {"name": "bigs.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "bigs", "kind": "Big"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
    await cluster.client.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    await cluster.wait_for("customresourcedefinitions.apiextensions.k8s.io", "bigs.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in c.get("status", {}).get("conditions") or ()), namespace=None)
    url = "/apis/example.com/v1/namespaces/default/bigs"
    big = {"apiVersion": "example.com/v1", "kind": "Big", "metadata": {"name": "b"}, "a": half, "b": half, "c": half}
    assert (await send(cluster, "POST", url, big)).status == 201
    for method, where, body in (("POST", url, {**big, "metadata": {"name": "c"}, "d": half}),
                                ("PATCH", url + "/b", {"d": half})):
        refused = await send(cluster, method, where, body, content_type=MERGE if method == "PATCH" else "application/json")
        assert refused.status == 500 and refused.json["message"] == "etcdserver: request is too large"
        assert "reason" not in refused.json and "details" not in refused.json
    # a JSON text of more than the limit of what is less than that in protobuf, which upstream stores
    quotes = {"metadata": {"name": "q"}, "data": {"k": '"' * 1_000_000}}
    assert (await send(cluster, "POST", CMS, quotes)).status == 201
    # what the record of owners made too large is stored without it
    wide = {**big, "metadata": {"name": "w"}, "m": {f"{i:040}": 1 for i in range(5000)}}
    made = await send(cluster, "POST", url, wide)
    assert made.status == 201 and "managedFields" not in made.json["metadata"]


@bare
async def test_unknown_metadata(cluster):
    body = b'{"metadata":{"name":"m","unknownMeta":"x","labels":{"a":"1","a":"2"}},"data":{}}'
    text = 'duplicate field "metadata.labels.a", unknown field "metadata.unknownMeta"'
    strict = await send(cluster, "POST", CMS + "?fieldValidation=Strict", body)
    assert strict.status == 400 and strict.json["message"].endswith(f"strict decoding error: {text}")
    warned = await send(cluster, "POST", CMS + "?fieldValidation=Warn", body)
    assert warned.status == 201 and warned.warnings == text.split(", ") and warned.json["metadata"]["labels"] == {"a": "2"}
    ignored = await send(cluster, "PUT", CMS + "/m?fieldValidation=Ignore", body)
    assert ignored.status == 200 and not ignored.warnings


@bare
async def test_an_owner_named_twice_is_one(cluster):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1"}
    other = {**owner, "uid": "u-2"}
    said = [".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
            "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u-1"]
    made = await send(cluster, "POST", CMS, config_map("a", ownerReferences=[owner, other, owner]))
    assert made.warnings == said and made.json["metadata"]["ownerReferences"] == [owner, other]
    patched = await send(cluster, "PATCH", CMS + "/a", {"metadata": {"ownerReferences": [owner, owner]}}, content_type=MERGE)
    after = [said[0].replace("duplicate entries;", "duplicate entries after mutating admission happens;")]
    assert patched.warnings == after and patched.json["metadata"]["ownerReferences"] == [owner]


@bare
async def test_the_servers_own_objects_are_its_own(cluster):
    await cluster.server.bootstrap.wait_ready()
    found = await cluster.client.get("namespaces", "kube-system")
    assert {e["manager"] for e in found["metadata"]["managedFields"]} == {"kube-apiserver"}


@pytest.mark.parametrize("query, text", [
    ("continue=%21", "invalid continue token: continue key is not valid: "),
    ("continue=e30", "invalid continue token: continue key is not valid: server does not recognize this encoded version "),
    ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
    ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0", "encoded start key empty (version meta.k8s.io/v1)"),
    # {"v":"meta.k8s.io/v1","rv":1,"start":"../secrets/x"}
    ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9zZWNyZXRzL3gifQ", "not valid: ../secrets/x"),
    ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIvYSJ9&resourceVersion=3", "specifying resource version is not allowed when using continue"),
    ("resourceVersion=x", 'strconv.ParseUint: parsing "x": invalid syntax'),
    ("limit=many", 'strconv.ParseInt: parsing "many": invalid syntax'),
])
@bare
async def test_list_options_that_are_none(cluster, query, text):
    refused = await send(cluster, "GET", f"{CMS}?{query}")
    assert refused.status == 400 and refused.json["reason"] == "BadRequest" and text in refused.json["message"]


@bare
async def test_which_revision_a_list_is_of(cluster):
    versions = [(await cluster.client.create("configmaps", config_map(n)))["metadata"]["resourceVersion"] for n in "abcd"]

    async def names(query):
        answer = (await send(cluster, "GET", f"{CMS}?{query}")).json
        return "".join(i["metadata"]["name"] for i in answer["items"]), answer["metadata"].get("remainingItemCount")

    await cluster.server.watch_cache.fresh()
    at = versions[1]
    for query, found in (
        ("", ("abcd", None)), ("limit=3", ("abc", 1)), ("limit=3&labelSelector=!x", ("abc", None)),
        ("resourceVersion=0", ("abcd", None)), ("resourceVersion=0&limit=1", ("abcd", None)),
        (f"resourceVersion={at}", ("abcd", None)), (f"resourceVersion={at}&limit=1", ("a", 1)),
        (f"resourceVersion={at}&limit=1&resourceVersionMatch=NotOlderThan", ("a", 3)),
        (f"resourceVersion={at}&resourceVersionMatch=Exact", ("ab", None)),
        (f"resourceVersion={at}&resourceVersionMatch=Exact&limit=1", ("a", 1)),
    ):
        assert await names(query) == found, query
    empty = (await send(cluster, "GET", "/api/v1/namespaces/nowhere/configmaps")).json
    assert empty["items"] == [] and empty["metadata"]["resourceVersion"]
    refused = await send(cluster, "GET", CMS + "?sendInitialEvents=true")
    assert "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list" in refused.json["message"]
    assert (await send(cluster, "GET", CMS + "/a?resourceVersion=0")).status == 200


@bare
async def test_pods_are_named_after_admission(cluster):
    """Who refuses a pod without a name speaks of what its name begins with."""
    body = pod("x", serviceAccountName="none")
    body["metadata"] = {"generateName": "web-"}
    refused = await send(cluster, "POST", "/api/v1/namespaces/default/pods", body)
    assert refused.status == 403 and refused.json["message"].startswith('pods "web-" is forbidden: error looking up service account')
