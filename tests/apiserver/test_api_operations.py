"""The API operations that conformance runs through for each kind: every verb on every resource, seen by a watch."""

import re
from pathlib import Path

import pytest
from tests.api.test_catalog import EXAMPLES, resource_of
from tests.apiserver.wire import account, send

from kubewheel.api import codec
from kubewheel.client.client import path_of
from kubewheel.testing import with_cluster

MERGE = "application/merge-patch+json"
# Names and states that only make sense with others' help have tests of their own.
ELSEWHERE = {"CertificateSigningRequest", "Namespace", "CustomResourceDefinition", "APIService", "Event"}
DOCS = [d for d in EXAMPLES if d["kind"] not in ELSEWHERE and "deletecollection" in resource_of(d).verbs]


def label_of(doc):
    return f"{doc['apiVersion']}/{doc['kind']}"


@pytest.mark.parametrize("group", sorted({d["apiVersion"] for d in DOCS}))
@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_every_verb(cluster, group):
    await account(cluster)
    seen = set()
    for doc in (d for d in DOCS if d["apiVersion"] == group and not (label_of(d) in seen or seen.add(label_of(d)))):
        await run_through(cluster, doc)


async def run_through(cluster, doc):
    resource = resource_of(doc)
    obj = codec.copy(doc)
    meta = obj["metadata"]
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "ownerReferences", "finalizers"):
        meta.pop(field, None)
    meta.setdefault("labels", {})["operations"] = "yes"
    name, namespace = meta["name"], "default" if resource.namespaced else None
    if resource.namespaced:
        meta["namespace"] = "default"
    if await cluster.client.find(resource.gvr, name, namespace=namespace) is not None:
        meta["name"] = name = "z-" + name
    base = path_of(resource.gvr, namespace)
    watch = await send(cluster, "GET", f"{base}?watch=1&labelSelector=operations%3Dyes&timeoutSeconds=60")
    made = await send(cluster, "POST", base + "?fieldValidation=Strict", obj)
    assert made.status == 201, (label_of(doc), made.body)
    url = f"{base}/{name}"
    assert (await send(cluster, "GET", url)).json["metadata"]["uid"] == made.json["metadata"]["uid"]
    everywhere = path_of(resource.gvr, None)
    found = (await send(cluster, "GET", everywhere + "?labelSelector=operations%3Dyes")).json
    assert [i["metadata"]["name"] for i in found["items"]] == [name] and found["kind"] == resource.list_kind
    table = await send(cluster, "GET", base, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table.status == 200 and table.json["kind"] == "Table"
    patched = await send(cluster, "PATCH", url, {"metadata": {"annotations": {"patched": "yes"}}}, content_type=MERGE)
    assert patched.status == 200 and patched.json["metadata"]["annotations"]["patched"] == "yes", patched.body
    body = patched.json
    body["metadata"]["annotations"]["updated"] = "yes"
    updated = await send(cluster, "PUT", url, body)
    assert updated.status == 200, (label_of(doc), updated.body)
    again = dict(updated.json, metadata=dict(updated.json["metadata"]))
    changes = ["ADDED", "MODIFIED", "MODIFIED"]
    if resource.subresource("status") is not None:
        for method, content in (("PATCH", {"metadata": {"annotations": {"s": "1"}}}), ("PUT", again)):
            if method == "PUT":
                content = (await send(cluster, "GET", url + "/status")).json
            told = await send(cluster, method, url + "/status", content,
                              content_type=MERGE if method == "PATCH" else "application/json")
            assert told.status == 200, (label_of(doc), method, told.body)
    applied = {"apiVersion": doc["apiVersion"], "kind": doc["kind"],
               "metadata": {"name": name, "annotations": {"applied": "yes"}}}
    answer = await send(cluster, "PATCH", url + "?fieldManager=applier", applied, content_type="application/apply-patch+yaml")
    assert answer.status == 200 and answer.json["metadata"]["annotations"]["applied"] == "yes", (label_of(doc), answer.body)
    events = await watch.lines(3)
    assert [e["type"] for e in events[:3]] == changes, label_of(doc)
    gone = await send(cluster, "DELETE", base + "?labelSelector=operations%3Dyes&gracePeriodSeconds=0")
    assert gone.status == 200 and len(gone.json["items"]) == 1, (label_of(doc), gone.body)
    left = await cluster.client.find(resource.gvr, name, namespace=namespace)
    assert left is None or left["metadata"].get("finalizers"), label_of(doc)


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_the_server_tells_its_version(cluster):
    told = (await send(cluster, "GET", "/version")).json
    assert told["major"] == "1" and told["minor"].isdecimal() and told["gitVersion"].startswith(f"v1.{told['minor']}.")


def test_the_map_of_conformance_names_tests_that_are_there():
    root = Path(__file__).parents[2]
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", (root / "docs/conformance.md").read_text())
    assert len(named) > 90
    for path, test in named:
        assert re.search(rf"def {test}\b", (root / "tests" / path).read_text()), (path, test)
