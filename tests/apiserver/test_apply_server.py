"""Server-side apply and managedFields over the whole chain: what the wire shows."""

import asyncio
import json

from tests.apiserver.wire import config_map, deployment, pod, send

from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
timed = with_cluster(nodes=0, controllers="", scheduler=False, virtual_time=True)
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
NS = "/api/v1/namespaces/default"
CMS = NS + "/configmaps"
APPS = "/apis/apps/v1/namespaces/default/deployments"
LAST = "kubectl.kubernetes.io/last-applied-configuration"


def cm(name, data=None, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta},
            **({"data": data} if data is not None else {})}


async def applied(cluster, url, body, manager="me", status=200, force=False):
    answer = await send(cluster, "PATCH", f"{url}?fieldManager={manager}" + ("&force=true" if force else ""), body,
                        content_type=APPLY)
    assert answer.status == status, answer.body
    return answer.json


def entries(obj):
    return {(e["manager"], e["operation"], e.get("subresource", "")): e for e in obj["metadata"].get("managedFields", [])}


@bare
async def test_a_created_deployment_is_owned_as_upstream_prints_it(cluster):
    body = deployment("web")
    body["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    made = (await send(cluster, "POST", APPS, body, user_agent="kubectl/v1.37.0 (linux/amd64)")).json
    (entry,) = made["metadata"]["managedFields"]
    assert {k: entry[k] for k in ("manager", "operation", "apiVersion", "fieldsType")} == {
        "manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
    assert json.dumps(entry["fieldsV1"], separators=(",", ":")) == json.dumps({"f:spec": {
        "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
        "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
        "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
            "f:containers": {'k:{"name":"main"}': {
                ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {
                    ".": {}, "f:containerPort": {}, "f:protocol": {}}},
                "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}},
            "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
            "f:terminationGracePeriodSeconds": {}}}}}, separators=(",", ":"))


@timed
async def test_times_move_only_with_what_is_owned(cluster):
    first = await applied(cluster, CMS + "/t", cm("t", {"a": "1"}), status=201)
    await asyncio.sleep(10)
    again = await applied(cluster, CMS + "/t", cm("t", {"a": "1"}))
    assert again == first, "no new revision, no new time"
    shared = await applied(cluster, CMS + "/t", cm("t", {"a": "1"}), "other")
    assert "time" not in entries(shared)["other", "Apply", ""], "nothing changed when it came to own"
    assert [e["manager"] for e in shared["metadata"]["managedFields"]] == ["other", "me"]
    await asyncio.sleep(10)
    changed = await applied(cluster, CMS + "/t", cm("t", {"a": "2"}), force=True)
    before, after = entries(first)["me", "Apply", ""], entries(changed)["me", "Apply", ""]
    assert after["time"] > before["time"] and after["fieldsV1"] == before["fieldsV1"]
    assert list(entries(changed)) == [("me", "Apply", "")]
    await asyncio.sleep(10)
    same = await send(cluster, "PUT", CMS + "/t", changed, user_agent="editor/1")
    assert same.json == changed, "an update without effect is none"


@bare
async def test_the_last_of_the_metadata_that_a_manager_owned_goes(cluster):
    """The name, uid and times stay: they are nobody's, as upstream's apiextensions-apiserver 0.36 answers."""
    made = await applied(cluster, CMS + "/t", cm("t", labels={"a": "b"}, finalizers=["example.com/x"]), status=201)
    left = await applied(cluster, CMS + "/t", cm("t"))
    kept = {k: v for k, v in made["metadata"].items() if k not in ("labels", "finalizers", "managedFields", "resourceVersion")}
    assert left["metadata"] == kept | {"resourceVersion": left["metadata"]["resourceVersion"]}
    assert set(kept) == {"name", "namespace", "uid", "creationTimestamp"}


@bare
async def test_conflicts_name_everyone(cluster):
    await applied(cluster, APPS + "/d", deployment("d", 1), "one", status=201)
    await send(cluster, "PATCH", APPS + "/d?fieldManager=two", {
        "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}},
        content_type="application/strategic-merge-patch+json")
    await send(cluster, "PATCH", APPS + "/d/status?fieldManager=three", {"status": {"replicas": 1}}, content_type=MERGE)
    clash = await applied(cluster, APPS + "/d", deployment("d", 2), "me", status=409)
    assert clash["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.replicas\n'
        'conflicts with "two" using apps/v1:\n- .spec.template.spec.containers[name="main"].image')
    assert clash["reason"] == "Conflict" and clash["details"] == {"causes": [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "two" using apps/v1',
         "field": '.spec.template.spec.containers[name="main"].image'}]}
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 2}}
    clash = await applied(cluster, APPS + "/d/status", status, "me", status=409)
    assert clash["message"] == ('Apply failed with 1 conflict: conflict with "three" with subresource "status" using apps/v1: '
                                ".status.replicas")
    # the main endpoint never owns the status, so it does not clash over it
    await applied(cluster, APPS + "/d", {**status, "spec": {}}, "me")


CANNOT = (
    (cm("m", managedFields=[]), 400, "metadata.managedFields must be nil"),
    ({"metadata": {"name": "m"}}, 400, "invalid object type: /, Kind="),
    ({**cm("m"), "apiVersion": "apps/v1"}, 400, "invalid object type: apps/v1, Kind=ConfigMap"),
    (cm(""), 400, "the name of the object (m based on URL) was undeterminable: name must be provided"),
    (cm("other"), 400, "the name of the object (other) does not match the name on the URL (m)"),
    (cm("m", namespace="x"), 400, "the namespace of the provided object does not match the namespace sent on the request"),
    (cm("m", uid="abc"), 409, 'Operation cannot be fulfilled on configmaps "m": uid mismatch: the provided object specified '
                              "uid abc, and no existing object was found"),
    ({**cm("m"), "foo": 1, "bar": 2}, 500,
     "failed to create typed patch object (/m; /v1, Kind=ConfigMap): .foo: field not declared in schema"),
    ({**cm("m", namespace="default", labels=[]), "data": "x"}, 500,
     "failed to create typed patch object (default/m; /v1, Kind=ConfigMap): errors:\n"
     "  .metadata.labels: expected map, got &{[]}\n  .data: expected map, got &{x}"),
    ({**cm("m"), "data": {"a": 1}, "immutable": "no"}, 500,
     "failed to create typed patch object (/m; /v1, Kind=ConfigMap): errors:\n"
     "  .data.a: expected string, got &value.valueUnstructured{Value:1}\n  .immutable: expected boolean, got &{no}"),
    ({**cm("m"), "binaryData": {"a": "*"}}, 500,
     "failed to convert new object (/m; /v1, Kind=ConfigMap) to proper version: unable to convert unstructured object to /v1, "
     "Kind=ConfigMap: error decoding from json: illegal base64 data at input byte 0"),
    (b"[1]", 400, "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go "
                  "value of type map[string]interface {}"),
)


@bare
async def test_what_cannot_be_applied(cluster):
    for body, status, message in CANNOT:
        answer = await send(cluster, "PATCH", CMS + "/m?fieldManager=me", body, content_type=APPLY)
        assert (answer.status, answer.json["message"]) == (status, message)


@bare
async def test_managers_have_printable_names(cluster):
    for query, message in (
        ("", "fieldManager: Required value: is required for apply patch"),
        ("fieldManager=" + "x" * 129, "fieldManager: Too long: may not be more than 128 bytes"),
        ("fieldManager=a%09b", 'fieldManager: Invalid value: "a\\tb": invalid character U+0009 (at position 1)'),
    ):
        answer = await send(cluster, "PATCH", CMS + "/m?" + query, cm("m"), content_type=APPLY)
        assert answer.status == 422 and message in answer.json["message"]
        assert answer.json["details"] | {"causes": 0} == {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": 0}
    for agent, manager in (("curl/8", "curl"), ("a" * 200, "a" * 128), ("", "unknown"), ("a\tb\x7f/1", "ab")):
        made = await send(cluster, "POST", CMS, {**config_map(""), "metadata": {"generateName": "x-"}}, user_agent=agent)
        assert made.json["metadata"]["managedFields"][0]["manager"] == manager
        assert made.json["metadata"]["managedFields"][0]["fieldsV1"] == {
            "f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:generateName": {}}}


@bare
async def test_preconditions_and_dry_run(cluster):
    made = await applied(cluster, CMS + "/p", cm("p", {"a": "1"}), status=201)
    clash = await applied(cluster, CMS + "/p", cm("p", {"a": "2"}, resourceVersion="1"), status=409)
    assert "the object has been modified" in clash["message"]
    clash = await applied(cluster, CMS + "/p", cm("p", {"a": "2"}, uid="abc"), status=422)
    assert 'metadata.uid: Invalid value: "abc": field is immutable' in clash["message"]
    wanted = await send(cluster, "PATCH", CMS + "/p?fieldManager=me&dryRun=All", cm("p", {"a": "2"}), content_type=APPLY)
    assert wanted.json["data"] == {"a": "2"}
    assert (await send(cluster, "GET", CMS + "/p")).json == made
    fresh = await send(cluster, "PATCH", CMS + "/q?fieldManager=me&dryRun=All", cm("q"), content_type=APPLY)
    assert fresh.status == 201 and (await send(cluster, "GET", CMS + "/q")).status == 404


@bare
async def test_kubectl_takes_over_from_client_side_apply(cluster):
    said = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k"}, "data": {"a": "1", "b": "1"}}
    await send(cluster, "POST", CMS + "?fieldManager=kubectl-client-side-apply",
               {**said, "metadata": {"name": "k", "annotations": {LAST: json.dumps(said)}}})
    await send(cluster, "PATCH", CMS + "/k?fieldManager=editor", {"data": {"b": "2"}}, content_type=MERGE)
    wanted = cm("k", {"a": "3", "b": "3"})
    clash = await applied(cluster, CMS + "/k", wanted, "kubectl", status=409)
    assert clash["message"] == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.b', "a is as it was applied"
    wanted = cm("k", {"a": "3"})
    taken = await applied(cluster, CMS + "/k", wanted, "kubectl")
    assert taken["data"] == {"a": "3", "b": "2"}
    assert taken["metadata"]["annotations"][LAST] == (
        '{"apiVersion":"v1","data":{"a":"3"},"kind":"ConfigMap","metadata":{"name":"k"}}\n')
    clash = await applied(cluster, CMS + "/k", cm("k", {"a": "4"}), "other", status=409)
    assert 'conflict with "kubectl": .data.a' in clash["message"]


@bare
async def test_objects_nobody_tracked(cluster):
    made = (await send(cluster, "POST", CMS, config_map("u"))).json
    made["metadata"]["managedFields"] = [{}]
    bare_one = (await send(cluster, "PUT", CMS + "/u", made)).json
    assert "managedFields" not in bare_one["metadata"]
    patched = await send(cluster, "PATCH", CMS + "/u", {"data": {"b": "1"}}, content_type=MERGE)
    assert "managedFields" not in patched.json["metadata"]
    clash = await applied(cluster, CMS + "/u", cm("u", {"a": "2"}), status=409)
    assert clash["message"] == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    taken = await applied(cluster, CMS + "/u", cm("u", {"a": "2"}), force=True)
    assert entries(taken)["before-first-apply", "Update", ""]["fieldsV1"] == {"f:data": {".": {}, "f:b": {}}}


@bare
async def test_clients_may_set_the_managers_themselves(cluster):
    made = (await send(cluster, "POST", CMS, config_map("c"))).json
    entry = made["metadata"]["managedFields"][0]
    made["metadata"]["managedFields"] = [{**entry, "manager": "me", "operation": "Apply"}]
    told = (await send(cluster, "PUT", CMS + "/c?fieldManager=who", made)).json
    assert list(entries(told)) == [("me", "Apply", "")]
    told["metadata"]["managedFields"] = [{"manager": "broken"}]
    assert list(entries((await send(cluster, "PUT", CMS + "/c", told)).json)) == [("me", "Apply", "")]


@bare
async def test_what_status_endpoints_own(cluster):
    await cluster.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    await send(cluster, "POST", NS + "/pods", pod("p"))
    patch = {"metadata": {"labels": {"a": "1"}}, "status": {"message": "x"}}
    told = (await send(cluster, "PATCH", NS + "/pods/p/status?fieldManager=k", patch, content_type=MERGE)).json
    assert entries(told)["k", "Update", "status"]["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:status": {"f:message": {}}}
    await send(cluster, "POST", APPS, deployment("d"))
    told = (await send(cluster, "PATCH", APPS + "/d/status?fieldManager=k", {**patch, "status": {"replicas": 1}},
                       content_type=MERGE)).json
    assert entries(told)["k", "Update", "status"]["fieldsV1"] == {"f:status": {"f:replicas": {}}}
    # binding and the server's own changes are nobody's
    target = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await send(cluster, "POST", NS + "/pods/p/binding", target)).status == 201
    bound = (await send(cluster, "GET", NS + "/pods/p")).json
    assert bound["spec"]["nodeName"] == "n" and "f:nodeName" not in json.dumps(bound["metadata"]["managedFields"])


@bare
async def test_two_versions_of_one_kind(cluster):
    one, two = (f"/apis/autoscaling/v{v}/namespaces/default/horizontalpodautoscalers/h" for v in (1, 2))
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 3}
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    await applied(cluster, one, {**hpa, "apiVersion": "autoscaling/v1", "spec": {**spec, "targetCPUUtilizationPercentage": 50}},
                  "one", status=201)
    clash = await applied(cluster, two, {**hpa, "apiVersion": "autoscaling/v2", "spec": {**spec, "maxReplicas": 5}}, "two",
                          status=409)
    assert clash["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.maxReplicas'
    both = await applied(cluster, two, {**hpa, "apiVersion": "autoscaling/v2", "spec": {**spec, "metrics": [cpu]}}, "two")
    assert entries(both)["one", "Apply", ""]["apiVersion"] == "autoscaling/v1"
    changed = {**cpu, "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    forced = await applied(cluster, two, {**hpa, "apiVersion": "autoscaling/v2", "spec": {**spec, "metrics": [changed]}},
                           "two", force=True)
    assert "f:targetCPUUtilizationPercentage" not in json.dumps(entries(forced)["one", "Apply", ""]), (
        "the same field by the other version's name")
    # the applier itself moves on: what it named in v1 and names no more goes
    moved = await applied(cluster, two, {**hpa, "apiVersion": "autoscaling/v2", "spec": {
        k: spec[k] for k in ("scaleTargetRef", "maxReplicas")}}, "one")
    assert entries(moved)["one", "Apply", ""]["apiVersion"] == "autoscaling/v2"
    assert moved["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70


@bare
async def test_at_most_ten_updaters_are_told_apart(cluster):
    await send(cluster, "POST", CMS + "?fieldManager=m00", config_map("n"))
    for i in range(1, 13):
        told = await send(cluster, "PATCH", f"{CMS}/n?fieldManager=m{i:02}", {"data": {f"k{i}": "x"}}, content_type=MERGE)
    managers = [e["manager"] for e in told.json["metadata"]["managedFields"]]
    assert len(managers) == 10 and "ancient-changes" in managers and "m12" in managers


def crd(**fields):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"}, "spec": {
                "group": "example.com", "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing"}, "versions": [
                    {"name": name, "served": True, "storage": name == "v1", "subresources": {"status": {}}, "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {
                            "spec": {"type": "object", "properties": fields},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}
                    for name in ("v1", "v2")]}}


TEXT = {"type": "string"}
ITEMS = {"type": "array", "items": {"type": "object", "required": ["name"], "properties": {
    "name": TEXT, "proto": {"type": "string", "default": "TCP"}, "value": TEXT}}}
FIELDS = {
    "keyed": {**ITEMS, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "proto"]},
    "set": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
    "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": TEXT, "b": TEXT}},
    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "inner": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    "grouped": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": TEXT}}},
    "maybe": {"type": "string", "nullable": True}}


async def things(cluster):
    await cluster.client.create("customresourcedefinitions.apiextensions.k8s.io", crd(**FIELDS))
    await cluster.wait_for("customresourcedefinitions.apiextensions.k8s.io", "things.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)


def thing(version="v1", **spec):
    return {"apiVersion": f"example.com/{version}", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


@bare
async def test_custom_resources_by_their_schema(cluster):
    await things(cluster)
    url = "/apis/example.com/{}/namespaces/default/things/t".format
    made = await applied(cluster, url("v1"), thing(
        keyed=[{"name": "a", "value": "1"}, {"name": "a", "proto": "UDP"}], set=["x", "y"], whole={"a": "1"},
        open={"deep": {"er": 1}, "list": [{"a": 1}]}, grouped={"g": {"x": "1"}}, maybe=None,
        inner={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "i"}}), status=201)
    assert entries(made)["me", "Apply", ""]["fieldsV1"] == {"f:spec": {
        "f:grouped": {"f:g": {".": {}, "f:x": {}}},
        "f:inner": {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {".": {}, "f:name": {}}},
        "f:keyed": {'k:{"name":"a","proto":"TCP"}': {".": {}, "f:name": {}, "f:value": {}},
                    'k:{"name":"a","proto":"UDP"}': {".": {}, "f:name": {}, "f:proto": {}}},
        "f:maybe": {}, "f:open": {"f:deep": {".": {}, "f:er": {}}, "f:list": {}},
        "f:set": {'v:"x"': {}, 'v:"y"': {}}, "f:whole": {}}}
    assert made["spec"]["maybe"] is None
    other = await applied(cluster, url("v2"), thing("v2", keyed=[{"name": "b"}], set=["z", "x"], open={"deep": {"too": 2}}), "other")
    assert [(i["name"], i["proto"]) for i in other["spec"]["keyed"]] == [("a", "TCP"), ("a", "UDP"), ("b", "TCP")]
    assert other["spec"]["set"] == ["z", "x", "y"] and other["spec"]["open"]["deep"] == {"er": 1, "too": 2}
    clash = await applied(cluster, url("v2"), thing("v2", whole={"a": "1", "b": "2"}), "other", status=409)
    assert clash["message"] == 'Apply failed with 1 conflict: conflict with "me": .spec.whole'
    less = await applied(cluster, url("v1"), thing(keyed=[{"name": "a"}], set=["y"]))
    assert less["spec"] == {"keyed": [{"name": "a", "proto": "TCP"}, {"name": "b", "proto": "TCP"}], "set": ["z", "x", "y"],
                            "open": {"deep": {"too": 2}}}
    for spec, why in (({"foo": 1}, ".spec.foo: field not declared in schema"),
                      ({"set": ["a", "a"]}, '.spec.set: duplicate entries for key [="a"]'),
                      ({"maybe": 1}, ".spec.maybe: expected string, got &value.valueUnstructured{Value:1}")):
        refused = await applied(cluster, url("v1"), thing(**spec), status=500)
        assert refused["message"] == f"failed to create typed patch object (/t; example.com/v1, Kind=Thing): {why}"
    partly = await applied(cluster, url("v1"), thing(keyed=[{"value": "1"}]), status=422)  # one of two keys has a default
    assert "Required value" in partly["message"]
    status = await applied(cluster, url("v1") + "/status", {**thing(keyed=[]), "status": {"phase": {"a": 1}}}, "ctl")
    assert entries(status)["ctl", "Apply", "status"]["fieldsV1"] == {"f:status": {"f:phase": {".": {}, "f:a": {}}}}


@bare
async def test_a_list_that_becomes_atomic_is_owned_as_one(cluster):
    await things(cluster)
    url = "/apis/example.com/v1/namespaces/default/things/t"
    await applied(cluster, url, thing(keyed=[{"name": "a"}], set=["x"]), status=201)
    fields = {k: v for k, v in FIELDS.items() if k != "set"} | {"set": {"type": "array", "items": TEXT}}
    await cluster.client.patch("customresourcedefinitions.apiextensions.k8s.io", "things.example.com",
                               {"spec": {"versions": crd(**fields)["spec"]["versions"]}})

    async def told():
        answer = await send(cluster, "PATCH", url + "?fieldManager=other", thing(set=["z"]), content_type=APPLY)
        return answer.json.get("message", "").endswith('conflict with "me": .spec.set')

    async with asyncio.timeout(10):
        while not await told():
            await asyncio.sleep(0.02)
    forced = await applied(cluster, url, thing(set=["z"]), "other", force=True)
    assert forced["spec"]["set"] == ["z"] and entries(forced)["other", "Apply", ""]["fieldsV1"] == {"f:spec": {"f:set": {}}}


@bare
async def test_the_codes_of_patches(cluster):
    strategic, json_patch = "application/strategic-merge-patch+json", "application/json-patch+json"
    await send(cluster, "POST", APPS, deployment("d"))
    containers = {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}
    many = [{"op": "test", "path": "/kind", "value": "Deployment"}] * 10_001
    for kind, body, query, code, message in (
        (strategic, containers, "", 500, "map: map[image:x] does not contain declared merge key: name"),
        (strategic, {"spec": {"$retainKeys": "a"}}, "", 400, "invalid patch format of retainKeys"),
        (strategic, b"[]", "", 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (strategic, {"spec": {"foo": 1}}, "fieldValidation=Strict", 422, ' "" is invalid: patch: Invalid value: '
         '"map[spec:map[foo:1]]": strict decoding error: unknown field "spec.foo"'),
        (strategic, {"spec": {"replicas": "x"}}, "", 422, ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:x]]": '
         "unrecognized type: int32"),
        (strategic, {"spec": {"template": {"spec": {"volumes": {}}}}}, "", 422, ' "" is invalid: patch: Invalid value: '
         '"map[spec:map[template:map[spec:map[volumes:map[]]]]]": cannot restore slice from map'),
        (MERGE, b"{", "", 400, "error decoding patch: unexpected end of JSON input"),
        (json_patch, b"[1]", "", 400, "error decoding patch: json: cannot unmarshal number into Go value of type "
                                      "handlers.jsonPatchOp"),
        (json_patch, b"{}", "fieldValidation=Ignore", 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (json_patch, [{"op": 1}], "", 400, "error decoding patch: json: cannot unmarshal number into Go struct field "
                                           "jsonPatchOp.op of type string"),
        (json_patch, many, "", 413, "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"),
        (json_patch, many[:1] + [{"op": "remove", "path": "/x"}], "", 422,
         "the server rejected our request due to an error in our request"),
        ("text/plain", b"", "", 415, "the body of the request was in an unknown format - accepted media types include: "
         f"{json_patch}, {MERGE}, {strategic}, {APPLY}"),
    ):
        answer = await send(cluster, "PATCH", f"{APPS}/d?{query}", body, content_type=kind)
        assert (answer.status, answer.json["message"]) == (code, message)
    told = await send(cluster, "PATCH", APPS + "/d", [{"op": "test", "path": "/kind", "value": "Deployment", "x": 1}],
                      content_type=json_patch)
    assert told.status == 200 and told.warnings == ['json patch unknown field "[0].x"']
    assert (await send(cluster, "PATCH", APPS + "/none", {}, content_type=MERGE)).status == 404
    await things(cluster)
    crs = "/apis/example.com/v1/namespaces/default/things"
    assert (await send(cluster, "POST", crs, thing(maybe="x"))).status == 201
    answer = await send(cluster, "PATCH", crs + "/t", {}, content_type=strategic)
    assert answer.status == 415 and answer.json["message"].endswith(f"include: {json_patch}, {MERGE}, {APPLY}")
