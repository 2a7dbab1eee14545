"""Discovery and OpenAPI documents as clients read them."""

import json

from kubewheel.api import catalog
from kubewheel.api.resource import Resource, ScalePaths, Subresource
from kubewheel.apiserver.extension import discovery, openapi
from kubewheel.apiserver.extension.aggregation import priorities

WIDGET = Resource(
    group="apps", kind="Deployment", plural="deployments", short_names=("deploy",), categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment", registry="deployments", scale=ScalePaths(),
    subresources=(Subresource("status", "Deployment"),
                  Subresource("scale", "Scale", group="autoscaling", version="v1")))


def read(path, resources=(WIDGET,), **more):
    made = discovery.document(discovery.Served(list(resources)), path, **more)
    return json.loads(made[0]) if made else None


def test_storage_version_hash_is_upstreams():
    assert discovery.storage_version_hash(catalog.resource("pods")) == "xPOwRZ+Yhw8="


def test_version_order():
    assert priorities.sort_versions(["v1beta1", "foo1", "v2", "v1alpha3", "v10", "v1", "v1beta3", "bar"]) == [
        "v10", "v2", "v1", "v1beta3", "v1beta1", "v1alpha3", "bar", "foo1"]


def test_legacy():
    assert read("/apis")["groups"] == [{
        "name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}]
    listed = read("/apis/apps/v1")
    assert [r["name"] for r in listed["resources"]] == ["deployments", "deployments/scale", "deployments/status"]
    assert listed["resources"][0] | {"storageVersionHash": ""} == {
        "name": "deployments", "singularName": "deployment", "namespaced": True, "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"], "categories": ["all"], "storageVersionHash": ""}
    assert listed["resources"][1] == {"name": "deployments/scale", "singularName": "", "namespaced": True,
                                      "group": "autoscaling", "version": "v1", "kind": "Scale",
                                      "verbs": ["get", "patch", "update"]}
    assert read("/apis/apps/v9") is None and read("/apis/other") is None


def test_aggregated():
    body, etag, content_type = discovery.document(discovery.Served([WIDGET]), "/apis", aggregated=True)
    assert content_type == discovery.AGGREGATED and etag.startswith('"')
    item = json.loads(body)["items"][0]
    assert item["metadata"] == {"name": "apps"} and item["versions"][0]["freshness"] == "Current"
    resource = item["versions"][0]["resources"][0]
    assert resource["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
    assert [s["subresource"] for s in resource["subresources"]] == ["scale", "status"]


def test_every_group_of_the_catalog_is_found():
    names = [g["name"] for g in read("/apis", catalog.RESOURCES)["groups"]]
    for resource in catalog.RESOURCES:
        assert not resource.group or resource.group in names
        assert read(f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1", catalog.RESOURCES)


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_openapi_v3():
    documents = openapi.Documents([WIDGET])
    index = json.loads(documents.serve("/openapi/v3", "")[2])
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    path, _, hash_ = url.partition("?hash=")
    status, headers, body = documents.serve(path, "application/json", hash_)
    made = json.loads(body)
    assert status == 200 and headers["content-type"] == "application/json"
    known = {"#/components/schemas/" + name for name in made["components"]["schemas"]}
    assert set(references(made)) <= known
    patch = made["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert {"fieldValidation", "dryRun"} <= {p["name"] for p in patch["parameters"]}
    assert documents.serve(path, "", "old")[0] == 301
    assert documents.serve(path, "", hash_, headers["etag"])[0] == 304
    assert documents.serve("/openapi/v3/apis/none/v1", "") is None


def test_openapi_v2_refers_only_to_itself():
    made = json.loads(openapi.Documents(catalog.RESOURCES).serve("/openapi/v2", "application/json")[2])
    assert set(references(made["paths"])) <= {f"#/{part}/{name}" for part in ("definitions", "parameters") for name in made[part]}
