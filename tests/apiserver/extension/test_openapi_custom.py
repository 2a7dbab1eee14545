"""What is published of custom resources, field by field, as upstream's apiextensions-apiserver 0.36 answers."""

import json

import pytest

from kubewheel.api import catalog
from kubewheel.apiserver.extension import discovery, openapi, openapi_paths
from kubewheel.apiserver.extension.crd import resource as custom

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
# what is declared, what v3 has in the place of it, what v2 has
FIELDS = {
    "plain": ({"type": "string", "maxLength": 10, "minLength": 0}, ..., ...),
    "nullable": ({"type": "string", "format": "date-time", "nullable": True},
                 {"type": "string", "format": "date-time", "nullable": True}, {"format": "date-time"}),
    "enum": ({"type": "string", "enum": ["a", "b"], "default": "a"}, ..., {"type": "string", "enum": ["a", "b"]}),
    "port": ({"x-kubernetes-int-or-string": True}, {"x-kubernetes-int-or-string": True, "anyOf": INT_OR_STRING},
             {"x-kubernetes-int-or-string": True}),
    "declared port": ({"x-kubernetes-int-or-string": True, "anyOf": INT_OR_STRING, "pattern": "^x"}, ...,
                      {"x-kubernetes-int-or-string": True, "pattern": "^x"}),
    "raw": ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, ...,
            {"x-kubernetes-preserve-unknown-fields": True}),
    "half raw": ({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}},
                 ..., {"x-kubernetes-preserve-unknown-fields": True}),
    "any, or null": ({"x-kubernetes-preserve-unknown-fields": True, "nullable": True}, ...,
                     {"x-kubernetes-preserve-unknown-fields": True}),
    "map": ({"type": "object", "additionalProperties": {"type": "string", "nullable": True}}, ...,
            {"type": "object", "additionalProperties": {}}),
    "set": ({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}, "uniqueItems": False},
            {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
    "junctors": ({"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}],
                  "not": {"required": ["a"]}, "allOf": [{"minProperties": 1}]}, ...,
                 {"type": "object", "properties": {"a": {"type": "string"}}}),
    "rules": ({"type": "string", "x-kubernetes-validations": [{"rule": "true"}]}, ..., ...),
    "required": ({"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "string"}, "b": {"type": "string", "nullable": True}}}, ...,
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {}}}),
    "documented": ({"type": "string", "title": "T", "externalDocs": {"url": "http://x"}, "example": "e"}, ..., ...),
}


def definition(schema, **version):
    return {"metadata": {"name": "gears.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "gears", "kind": "Gear"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}]}}


def gear(schema, **version):
    return custom.resources(definition(schema, **version))[0]


@pytest.mark.parametrize("name", FIELDS)
def test_a_field(name):
    declared, in_v3, in_v2 = FIELDS[name]
    resource = gear({"type": "object", "properties": {"f": declared}})
    for shown, document in ((in_v3, json.loads(openapi.v3([resource]))["components"]["schemas"]),
                            (in_v2, openapi.v2([resource])["definitions"])):
        wanted = declared if shown is ... else shown
        assert document["com.example.v1.Gear"]["properties"]["f"] == wanted


def test_objects_in_objects_have_what_objects_have():
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}}
    resource = gear({"type": "object", "properties": {
        "f": embedded, "g": {**embedded, "x-kubernetes-preserve-unknown-fields": True}}})
    v3 = json.loads(openapi.v3([resource]))["components"]["schemas"]["com.example.v1.Gear"]["properties"]
    for field in ("f", "g"):
        assert v3[field]["required"] == ["kind", "apiVersion"]
        assert set(v3[field]["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
        assert v3[field]["properties"]["metadata"]["allOf"] == [{"$ref": f"#/components/schemas/{META}ObjectMeta"}]
    v2 = openapi.v2([resource])["definitions"]["com.example.v1.Gear"]["properties"]
    assert v2["f"]["properties"]["metadata"]["$ref"] == f"#/definitions/{META}ObjectMeta"
    assert v2["g"] == {"x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}


def test_what_is_open_is_opaque_in_v2():
    resource = gear({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}})
    kind = [{"group": "example.com", "kind": "Gear", "version": "v1"}]
    assert openapi.v2([resource])["definitions"]["com.example.v1.Gear"] == {
        "type": "object", "x-kubernetes-group-version-kind": kind}
    v3 = json.loads(openapi.v3([resource]))["components"]["schemas"]["com.example.v1.Gear"]
    assert set(v3["properties"]) == {"a", "apiVersion", "kind", "metadata"}
    assert v3["x-kubernetes-preserve-unknown-fields"] is True


def test_selectable_fields_are_told_of_lists_too():
    schemas = json.loads(openapi.v3([gear({"type": "object", "properties": {"a": {"type": "string"}}},
                                          selectableFields=[{"jsonPath": ".a"}])]))["components"]["schemas"]
    for name in ("Gear", "GearList"):
        assert schemas[f"com.example.v1.{name}"]["x-kubernetes-selectable-fields"] == [{"fieldPath": "a"}]


LIST = ["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
        "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch"]
WRITE = ["dryRun", "fieldManager", "fieldValidation"]
ONE = "/apis/example.com/v1/namespaces/{namespace}/gears/{name}"
# (path, method): id, parameters, codes, types of the body
OPERATIONS = {
    ("/apis/example.com/v1/gears", "get"): ("listExampleComV1GearForAllNamespaces", [], "200 401", ""),
    ("/apis/example.com/v1/namespaces/{namespace}/gears", "get"): ("listExampleComV1NamespacedGear", LIST, "200 401", ""),
    ("/apis/example.com/v1/namespaces/{namespace}/gears", "post"): (
        "createExampleComV1NamespacedGear", WRITE, "200 201 202 401", "application/json application/yaml"),
    ("/apis/example.com/v1/namespaces/{namespace}/gears", "delete"): (
        "deleteExampleComV1CollectionNamespacedGear", LIST, "200 401", ""),
    (ONE, "get"): ("readExampleComV1NamespacedGear", ["resourceVersion"], "200 401", ""),
    (ONE, "put"): ("replaceExampleComV1NamespacedGear", WRITE, "200 201 401", "application/json application/yaml"),
    (ONE, "delete"): ("deleteExampleComV1NamespacedGear", [
        "dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents",
        "propagationPolicy"], "200 202 401", "application/json application/yaml"),
    (ONE, "patch"): ("patchExampleComV1NamespacedGear", [*WRITE, "force"], "200 401",
                     "application/apply-patch+yaml application/json-patch+json application/merge-patch+json"),
    (ONE + "/scale", "get"): ("readExampleComV1NamespacedGearScale", ["resourceVersion"], "200 401", ""),
    (ONE + "/scale", "patch"): ("patchExampleComV1NamespacedGearScale", [*WRITE, "force"], "200 401",
                                "application/apply-patch+yaml application/json-patch+json application/merge-patch+json"),
}


def test_operations():
    resource = gear({"type": "object"}, subresources={"scale": {"specReplicasPath": ".spec.r", "statusReplicasPath": ".status.r"}})
    document = json.loads(openapi.v3([resource]))
    assert document["info"] == {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    for (path, method), (ident, names, codes, bodies) in OPERATIONS.items():
        found = document["paths"][path][method]
        assert found["operationId"] == ident and found["tags"] == ["exampleCom_v1"], path
        assert [p["name"] for p in found.get("parameters", [])] == names, ident
        assert " ".join(found["responses"]) == codes, ident
        assert " ".join(sorted(found.get("requestBody", {"content": {}})["content"])) == bodies, ident
        assert found["x-kubernetes-group-version-kind"] == {"group": "example.com", "kind": "Gear", "version": "v1"}
    # What all operations of a path take stands at the path.
    assert [p["name"] for p in document["paths"]["/apis/example.com/v1/gears"]["parameters"]] == sorted([*LIST, "pretty"])
    assert [p["name"] for p in document["paths"][ONE]["parameters"]] == ["name", "namespace", "pretty"]


def test_parameters_are_said_once_in_v2():
    made = openapi.v2([gear({"type": "object"})])
    patch = made["paths"][ONE]["patch"]["parameters"]
    assert [p.get("name") or p["$ref"].removeprefix("#/parameters/").partition("-")[0] for p in patch] == [
        "body", "dryRun", "fieldManager", "fieldValidation", "force"]
    assert patch[1]["type"] == "string" and "$ref" in patch[2]  # kubectl looks for dryRun in the operation
    for name, parameter in made["parameters"].items():
        assert name.startswith(parameter["name"] + "-")


def test_operations_of_built_ins():
    pods = json.loads(openapi.v3([catalog.resource("pods"), catalog.resource("endpoints")]))["paths"]
    one = "/api/v1/namespaces/{namespace}/pods/{name}"
    assert pods["/api/v1/"]["get"]["operationId"] == "getCoreV1APIResources"
    assert pods["/api/v1/watch/pods"]["get"]["operationId"] == "watchCoreV1PodListForAllNamespaces"
    assert pods["/api/v1/watch/namespaces/{namespace}/pods/{name}"]["get"]["x-kubernetes-action"] == "watch"
    assert pods[one]["delete"]["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/io.k8s.api.core.v1.Pod"}
    assert pods[one + "/exec"]["get"]["operationId"] == "connectCoreV1GetNamespacedPodExec"
    assert pods[one + "/proxy/{path}"]["delete"]["operationId"] == "connectCoreV1DeleteNamespacedPodProxyWithPath"
    assert pods[one + "/eviction"]["post"]["description"] == "create eviction of a Pod"
    assert pods["/api/v1/namespaces/{namespace}/endpoints"]["post"]["description"] == "create Endpoints"
    assert "application/json;stream=watch" in pods["/api/v1/pods"]["get"]["responses"]["200"]["content"]


def test_documents_of_what_is_no_group_version():
    documents = openapi.Documents(catalog.RESOURCES)
    paths = json.loads(documents.serve("/openapi/v3", "")[2])["paths"]
    for name, path, ident in (("version", "/version/", "getCodeVersion"), ("apis", "/apis/", "getAPIVersions"),
                              ("api", "/api/", "getCoreAPIVersions"), ("apis/apps", "/apis/apps/", "getAppsAPIGroup")):
        assert name in paths
        made = json.loads(documents.serve(f"/openapi/v3/{name}", "")[2])
        assert made["paths"][path]["get"]["operationId"] == ident
    assert "parameters" not in openapi_paths.fixed("version")[0]["/version/"]


def test_defaults_of_built_ins():
    schemas = json.loads(openapi.v3([catalog.resource("deployments.apps"), catalog.resource("pods")]))["components"]["schemas"]
    core = "io.k8s.api.core.v1."
    pod, port = schemas[core + "Pod"]["properties"], schemas[core + "ContainerPort"]["properties"]
    assert pod["spec"]["default"] == {} and "default" not in pod["kind"]
    assert port["protocol"]["default"] == "TCP" and port["containerPort"]["default"] == 0
    assert schemas[core + "Container"]["properties"]["name"]["default"] == ""
    assert schemas[core + "Container"]["properties"]["args"]["items"] == {"type": "string", "default": ""}
    assert schemas[core + "PodSpec"]["properties"]["containers"]["items"] == {
        "allOf": [{"$ref": f"#/components/schemas/{core}Container"}], "default": {}}
    assert "default" not in schemas[core + "PodSpec"]["properties"]["securityContext"]  # a pointer


def test_discovery_of_custom_resources():
    """Verbs in upstream's order; status before scale; what is on its way out takes nothing new."""
    schema = {"type": "object"}
    crd = definition(schema, subresources={"scale": {"specReplicasPath": ".spec.r", "statusReplicasPath": ".status.r"},
                                           "status": {}})
    found = discovery.document(discovery.Served(custom.resources(crd)), "/apis/example.com/v1")
    listed = json.loads(found[0])["resources"]
    assert [r["name"] for r in listed] == ["gears", "gears/status", "gears/scale"]
    assert listed[0]["verbs"] == ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    assert listed[0]["storageVersionHash"]
    crd["status"] = {"conditions": [{"type": "Terminating", "status": "True"}]}
    crd["spec"]["versions"].append({"name": "v2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}})
    crd["spec"]["versions"][0] |= {"storage": False}
    crd["spec"]["versions"][1] |= {"served": False}
    served = discovery.Served(custom.resources(crd))
    listed = json.loads(discovery.document(served, "/apis/example.com/v1")[0])["resources"]
    assert listed[0]["verbs"] == ["delete", "deletecollection", "get", "list", "watch"]
    assert "storageVersionHash" not in listed[0]  # of a version that is served only
    assert discovery.document(served, "/apis/example.com/v2") is None
