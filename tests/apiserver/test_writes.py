"""Writes over the wire: what is refused and how, dry run, validation of fields, preconditions, generations, ownership."""

import asyncio
import json

import pytest
from tests.apiserver.wire import account, config_map, deployment, pod, send

from kubewheel.apiserver import frozen
from kubewheel.testing import with_cluster

bare = with_cluster(nodes=0, controllers="", scheduler=False)
CMS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"


@bare
async def test_bodies_that_are_none(cluster):
    for body, kind, code, part in (
        (b"", "application/json", 400, "unexpected end of JSON input (<empty>)"),
        (b'{"a": x}', "application/json", 400, "invalid character 'x' looking for beginning of value"),
        (b"[1]", "application/json", 400, "cannot unmarshal array"), (b"null", "application/json", 400, "null"),
        (b'{"kind":"Pod","apiVersion":"v1"}', "application/json", 400, "ConfigMap"),
        (b'{"kind":"ConfigMap","apiVersion":"apps/v1"}', "application/json", 400,
         'no kind "ConfigMap" is registered for version "apps/v1" in scheme'),
        (b'{"metadata": 3}', "application/json", 400, "cannot be handled as a ConfigMap"),
        (b'{"metadata":{"name":"x","labels":{"a":1}}}', "application/json", 400, "cannot be handled"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "application/json", 400, "exceeded max depth"),
        (b"[" * 100_000, "application/yaml", 400, "exceeded max depth"),
        (b"a: b: c", "application/yaml", 400, "yaml: mapping values are not allowed"),
        (b"a: .inf", "application/yaml", 400, "json: unsupported value: +Inf"),
        (b"{}", "text/csv", 415, "accepted media types include: application/json"),
        (b"{" + b" " * 3_200_000 + b"}", "application/json", 413, "limit is 3145728"),
        (b"\xff", "application/vnd.kubernetes.protobuf", 400, ""),
    ):
        answer = await send(cluster, "POST", CMS, body, content_type=kind)
        assert answer.status == code and part in answer.json["message"], (body[:40], answer.body)


@bare
async def test_yaml_is_a_body_and_an_answer(cluster):
    body = b"metadata:\n  name: y\ndata:\n  a: 'yes'\n"
    made = await send(cluster, "POST", CMS, body, content_type="application/yaml", accept="application/yaml")
    assert made.status == 201 and b'name: "y"' in made.body


@bare
async def test_paths_that_are_none(cluster):
    for method, path, code in (
        ("GET", "/nope", 404), ("GET", "/apis/none.example/v1/things", 404), ("GET", "/apis/apps/v9/deployments", 404)):
        answer = await send(cluster, method, path)
        assert (answer.status, answer.body) == (code, b"404 page not found\n"), path
    for method, path, code in (
        ("GET", "/api/v1/things", 404), ("GET", "/apis/apps/v1/namespaces/default/things/x", 404),
        ("GET", CMS + "/x/status", 404), ("PUT", CMS, 405), ("POST", CMS + "/x", 405), ("PATCH", CMS, 405),
        ("HEAD", CMS, 405), ("OPTIONS", CMS, 405), ("DELETE", "/api/v1/configmaps", 405), ("POST", "/api/v1/configmaps", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405), ("FOO", CMS, 405)):
        answer = await send(cluster, method, path, {} if method in ("PUT", "POST") else None)
        assert answer.status == code, (method, path, answer.body)
        assert answer.json["details"] == {} and answer.json["reason"] in ("NotFound", "MethodNotAllowed")


@bare
async def test_field_validation(cluster):
    body = b'{"metadata":{"name":"v"},"data":{"a":"1","a":"2"},"spec":1}'
    strict = await send(cluster, "POST", CMS + "?fieldValidation=Strict", body)
    assert strict.status == 400 and strict.json["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "data.a", unknown field "spec"')
    assert (await send(cluster, "POST", CMS + "?fieldValidation=Foo", body)).status == 422
    ignored = await send(cluster, "POST", CMS + "?fieldValidation=Ignore&dryRun=All", body)
    assert ignored.status == 201 and not ignored.warnings
    warned = await send(cluster, "POST", CMS, body)
    assert warned.status == 201 and warned.warnings == ['duplicate field "data.a"', 'unknown field "spec"']
    text = b"metadata:\n  name: w\ndata:\n  a: b\n  a: c\n"
    strict = await send(cluster, "POST", CMS + "?fieldValidation=Strict", text, content_type="application/yaml")
    assert 'line 5: key "a" already set in map' in strict.json["message"]
    for kind in (MERGE, STRATEGIC):
        patched = await send(cluster, "PATCH", CMS + "/v?fieldValidation=Strict", b'{"foo":1,"data":{"x":"1","x":"2"}}',
                             content_type=kind)
        assert patched.status == 422 and patched.json["message"].endswith(
            'strict decoding error: duplicate field "data.x", unknown field "foo"'), patched.body
        warned = await send(cluster, "PATCH", CMS + "/v", b'{"foo":1}', content_type=kind)
        assert warned.status == 200 and warned.warnings == ['unknown field "foo"']
    applied = await send(cluster, "PATCH", CMS + "/v?fieldValidation=Strict&fieldManager=m&force=true",
                         b"apiVersion: v1\nkind: ConfigMap\ndata:\n  x: '1'\n  x: '2'\n", content_type=APPLY)
    assert applied.status == 400 and 'line 5: key "x" already set in map' in applied.json["message"]


@bare
async def test_patches_that_do_not_fit(cluster):
    await cluster.client.create("configmaps", config_map("p"))
    for kind, body, code, part in (
        (JSON_PATCH, b'[{"op":"test","path":"/data/a","value":"9"}]', 422, "the server rejected our request due to an error"),
        (JSON_PATCH, b'{"a":1}', 400, "[]handlers.jsonPatchOp"), (JSON_PATCH, b"[1]", 400, ""), (MERGE, b"[]", 400, "array"),
        (MERGE, b"{", 400, "unexpected end of JSON input"), (MERGE, b'{"data":3}', 422, "patch"),
        (MERGE, b'{"metadata":{"name":"other"}}', 400, "does not match the name on the URL"),
        (MERGE, b'{"metadata":null}', 400, "undeterminable: name must be provided"), (MERGE, b'{"kind":"Pod"}', 400, "Pod"),
        (MERGE, b'{"metadata":{"resourceVersion":"1"}}', 409, "the object has been modified"),
        ("application/json", b"{}", 415, "application/json-patch+json, application/merge-patch+json"),
        (APPLY, b"{}", 422, "fieldManager: Required value: is required for apply patch"),
    ):
        answer = await send(cluster, "PATCH", CMS + "/p", body, content_type=kind)
        assert answer.status == code and (code == 200 or part in answer.json["message"]), (body, answer.body)
    forced = await send(cluster, "PATCH", CMS + "/p?force=true", b"{}", content_type=MERGE)
    assert "force: Forbidden: may not be specified for non-apply patch" in forced.json["message"]


@bare
async def test_dry_run_changes_nothing(cluster):
    await cluster.server.bootstrap.wait_ready()  # it writes as well, and the address of its Service a moment later
    await cluster.wait_for("ipaddresses.networking.k8s.io", "10.96.0.1", lambda a: a, namespace=None)
    await cluster.client.create("configmaps", config_map("d"))
    before = await cluster.client.get("configmaps", "d", namespace="default")
    store = cluster.control_plane.store
    revision = store.revision()
    assert (await send(cluster, "POST", CMS + "?dryRun=All", config_map("new"))).status == 201
    assert (await send(cluster, "POST", CMS + "?dryRun=All", config_map("d"))).status == 409
    changed = await send(cluster, "PATCH", CMS + "/d?dryRun=All", {"data": {"b": "2"}}, content_type=MERGE)
    assert changed.json["data"] == {"a": "1", "b": "2"}
    assert (await send(cluster, "PUT", CMS + "/d?dryRun=All", config_map("d"))).status == 200
    assert (await send(cluster, "DELETE", CMS + "/d?dryRun=All")).status == 200
    assert (await send(cluster, "DELETE", CMS + "/d", {"kind": "DeleteOptions", "dryRun": ["All"]})).status == 200
    assert (await send(cluster, "DELETE", CMS + "?dryRun=All")).status == 200
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "type": "NodePort"}}
    made = await send(cluster, "POST", "/api/v1/namespaces/default/services?dryRun=All", service)
    assert made.json["spec"]["clusterIP"]
    assert store.revision() == revision
    assert await cluster.client.get("configmaps", "d", namespace="default") == before
    for method, url, body in (("POST", CMS, config_map("x")), ("DELETE", CMS + "/d", None)):
        answer = await send(cluster, method, url + "?dryRun=Some", body)
        assert answer.status == 422 and 'dryRun: Unsupported value: ["Some"]: supported values: "All"' in answer.json["message"]


@bare
async def test_optimistic_locking_and_identity(cluster):
    made = await cluster.client.create("configmaps", config_map("o"))
    stale = config_map("o", resourceVersion="1")
    conflict = await send(cluster, "PUT", CMS + "/o", stale)
    assert conflict.status == 409 and conflict.json["details"] == {"name": "o", "kind": "configmaps"}
    assert "the object has been modified; please apply your changes to the latest version and try again" in conflict.json["message"]
    assert (await send(cluster, "PUT", CMS + "/o", config_map("o", uid="other"))).status == 409
    assert (await send(cluster, "PUT", CMS + "/none", config_map("none"))).status == 404
    wrong = await send(cluster, "PUT", CMS + "/o", config_map("q"))
    assert wrong.json["message"] == "the name of the object (q) does not match the name on the URL (o)"
    wrong = await send(cluster, "POST", CMS, config_map("q", "kube-system"))
    assert wrong.json["message"] == "the namespace of the provided object does not match the namespace sent on the request"
    then = "2001-01-01T00:00:00Z"
    ignored = await send(cluster, "PUT", CMS + "/o?dryRun=All", config_map("o", creationTimestamp=then))
    assert ignored.json["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    refused = await send(cluster, "PUT", CMS + "/o", config_map("o", deletionTimestamp=then, deletionGracePeriodSeconds=3))
    assert refused.status == 422 and refused.json["message"] == (
        'ConfigMap "o" is invalid: [metadata.deletionTimestamp: Invalid value: "2001-01-01T00:00:00Z": field is '
        "immutable, metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable]")
    same = await send(cluster, "PUT", CMS + "/o", made)
    assert same.json["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], "no change, no new revision"


@bare
async def test_patches_race_without_conflicts(cluster):
    await cluster.client.create("configmaps", config_map("r"))
    await asyncio.gather(*(send(cluster, "PATCH", CMS + "/r", {"data": {f"k{i}": "v"}}, content_type=MERGE) for i in range(20)))
    found = await cluster.client.get("configmaps", "r", namespace="default")
    assert len(found["data"]) == 21


@bare
async def test_preconditions_policies_and_finalizers(cluster):
    client = cluster.client
    made = await client.create("configmaps", config_map("f", finalizers=["example.com/hold"]))
    for condition in ({"uid": "other"}, {"resourceVersion": "1"}):
        refused = await send(cluster, "DELETE", CMS + "/f", {"preconditions": condition})
        assert refused.status == 409 and "in the precondition (" in refused.json["message"]
    for bad, code in (({"propagationPolicy": "Never"}, 422), ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
                      ({"gracePeriodSeconds": "x"}, 400), ({"preconditions": []}, 400)):
        assert (await send(cluster, "DELETE", CMS + "/f", bad)).status == code, bad
    going = await send(cluster, "DELETE", CMS + "/f", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert going.status == 200 and going.json["kind"] == "ConfigMap" and going.json["metadata"]["deletionTimestamp"]
    more = await send(cluster, "PATCH", CMS + "/f", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}},
                      content_type=MERGE)
    assert more.status == 422 and "no new finalizers can be added if the object is being deleted" in more.json["message"]
    freed = await send(cluster, "PATCH", CMS + "/f", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert freed.status == 200
    assert await client.find("configmaps", "f", namespace="default") is None
    await client.create("configmaps", config_map("g"))
    gone = await send(cluster, "DELETE", CMS + "/g")
    assert gone.json["kind"] == "Status" and gone.json["details"]["kind"] == "configmaps" and gone.json["details"]["uid"]
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        await client.create("configmaps", config_map("h"))
        left = await send(cluster, "DELETE", f"{CMS}/h?propagationPolicy={policy}")
        assert left.json["metadata"]["finalizers"] == [finalizer]
        await send(cluster, "PATCH", CMS + "/h", {"metadata": {"finalizers": None}}, content_type=MERGE)


@bare
async def test_pods_go_gracefully(cluster):
    await account(cluster)
    client, url = cluster.client, "/api/v1/namespaces/default/pods/g"
    await client.create("pods", pod("g", nodeName="somewhere"))
    first = (await send(cluster, "DELETE", url)).json["metadata"]
    assert first["deletionGracePeriodSeconds"] == 30 and first["generation"] == 2
    shorter = (await send(cluster, "DELETE", url + "?gracePeriodSeconds=5")).json["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5 and shorter["deletionTimestamp"] < first["deletionTimestamp"]
    longer = (await send(cluster, "DELETE", url + "?gracePeriodSeconds=60")).json["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5
    assert (await send(cluster, "DELETE", url, {"gracePeriodSeconds": 0})).json["kind"] == "Pod"
    assert await client.find("pods", "g", namespace="default") is None
    await client.create("pods", pod("u"))
    await client.delete("pods", "u", namespace="default")
    assert await client.find("pods", "u", namespace="default") is None, "nobody runs it, nobody waits"


@bare
async def test_names_are_made(cluster):
    made = await cluster.client.create("configmaps", {"metadata": {"generateName": "x-", "namespace": "default"}})
    assert made["metadata"]["name"].startswith("x-") and len(made["metadata"]["name"]) == 7
    none = await send(cluster, "POST", CMS, {"data": {}})
    assert none.status == 422 and "metadata.name: Required value: name or generateName is required" in none.json["message"]


@bare
async def test_generations_and_status(cluster):
    client = cluster.client
    made = await client.create("deployments.apps", {**deployment("g"), "status": {"replicas": 7}})
    assert made["metadata"]["generation"] == 1 and not made.get("status")
    assert "f:status" not in made["metadata"]["managedFields"][0]["fieldsV1"]
    labelled = await client.patch("deployments.apps", "g", {"metadata": {"labels": {"a": "b"}}}, namespace="default")
    assert labelled["metadata"]["generation"] == 1
    scaled = await client.patch("deployments.apps", "g", {"spec": {"replicas": 3}, "status": {"replicas": 9}}, namespace="default")
    assert scaled["metadata"]["generation"] == 2 and not scaled.get("status")
    told = await client.patch("deployments.apps", "g", {"spec": {"replicas": 9}, "status": {"observedGeneration": 2}},
                              namespace="default", subresource="status")
    assert (told["spec"]["replicas"], told["status"], told["metadata"]["generation"]) == (3, {"observedGeneration": 2}, 2)
    entry = [e for e in told["metadata"]["managedFields"] if e.get("subresource") == "status"]
    assert list(entry[0]["fieldsV1"]) == ["f:status"]


@bare
async def test_apply_owns_and_conflicts(cluster):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": "1", "b": "1"}}
    made = await send(cluster, "PATCH", CMS + "/s?fieldManager=one", body, content_type=APPLY)
    assert made.status == 201
    assert made.json["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    again = await send(cluster, "PATCH", CMS + "/s?fieldManager=one", body, content_type=APPLY)
    assert again.status == 200 and again.json["metadata"]["resourceVersion"] == made.json["metadata"]["resourceVersion"]
    other = {**body, "data": {"a": "2"}}
    clash = await send(cluster, "PATCH", CMS + "/s?fieldManager=two", other, content_type=APPLY)
    assert clash.status == 409 and clash.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert clash.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    forced = await send(cluster, "PATCH", CMS + "/s?fieldManager=two&force=true", other, content_type=APPLY)
    assert forced.json["data"] == {"a": "2", "b": "1"}
    nothing = {k: v for k, v in body.items() if k != "data"}
    less = await send(cluster, "PATCH", CMS + "/s?fieldManager=one", nothing, content_type=APPLY)
    assert less.json["data"] == {"a": "2"}, "what nobody wants any more is gone"
    await send(cluster, "PATCH", CMS + "/s", {"data": {"c": "3"}}, content_type=MERGE, user_agent="curl/8.1")
    found = await cluster.client.get("configmaps", "s", namespace="default")
    assert {(e["manager"], e["operation"]) for e in found["metadata"]["managedFields"]} == {
        ("two", "Apply"), ("curl", "Update")}
    unknown = await send(cluster, "PATCH", CMS + "/s?fieldManager=one", {**body, "spec": {}}, content_type=APPLY)
    assert unknown.status == 500 and ".spec: field not declared in schema" in unknown.json["message"]


@bare
async def test_scale(cluster):
    await cluster.client.create("deployments.apps", deployment("s", 2))
    url = DEPLOYMENTS + "/s/scale"
    scale = (await send(cluster, "GET", url)).json
    assert scale["spec"] == {"replicas": 2} and scale["status"]["selector"] == "app=s" and scale["kind"] == "Scale"
    scale["spec"]["replicas"] = 4
    assert (await send(cluster, "PUT", url + "?fieldManager=scaler", scale)).json["spec"] == {"replicas": 4}
    assert (await send(cluster, "PUT", url, scale)).status == 409
    patched = await send(cluster, "PATCH", url, {"spec": {"replicas": 5}}, content_type=STRATEGIC)
    assert patched.json["spec"] == {"replicas": 5}
    for body, code in (({"spec": {"replicas": -1}}, 422), ({"spec": {"replicas": "x"}}, 422), ({"spec": 3}, 422)):
        assert (await send(cluster, "PATCH", url, body, content_type=MERGE)).status == code, body
    applied = await send(cluster, "PATCH", url + "?fieldManager=hpa&force=true", {
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "s"}, "spec": {"replicas": 6}}, content_type=APPLY)
    assert applied.status == 200 and applied.json["spec"] == {"replicas": 6}, applied.body
    live = await cluster.client.get("deployments.apps", "s", namespace="default")
    entry = next(e for e in live["metadata"]["managedFields"] if e["manager"] == "hpa")
    assert (entry["operation"], entry["subresource"], entry["fieldsV1"]) == (
        "Apply", "scale", {"f:spec": {"f:replicas": {}}})
    assert live["metadata"]["generation"] == 4
    table = (await send(cluster, "GET", url, accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["s", 6, 0]


@bare
async def test_service_addresses_are_taken_and_given_back(cluster):
    await cluster.server.bootstrap.wait_ready()
    url = "/api/v1/namespaces/default/services"
    service = {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.96.0.77", "type": "NodePort",
                                                   "ports": [{"port": 80, "nodePort": 30123}]}}
    assert (await send(cluster, "POST", url, service)).status == 201
    other = {"metadata": {"name": "t"}, "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}}
    taken = await send(cluster, "POST", url, other)
    assert taken.status == 422 and "provided IP is already allocated" in taken.json["message"]
    other["spec"] = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}]}
    taken = await send(cluster, "POST", url, other)
    assert "spec.ports[0].nodePort: Invalid value: 30123: provided port is already allocated" in taken.json["message"]
    outside = {"metadata": {"name": "t"}, "spec": {"clusterIP": "10.1.2.3", "ports": [{"port": 80}]}}
    assert "the provided network does not match the current range" in (await send(cluster, "POST", url, outside)).json["message"]
    outside["spec"]["clusterIP"] = "10.96.255.255"
    assert "The range of valid IPs is 10.96.0.0/16" in (await send(cluster, "POST", url, outside)).json["message"]
    # a refused update gives back what it took on the way
    refused = await send(cluster, "PATCH", url + "/s", {"spec": {"ports": [
        {"name": "a", "port": 80, "nodePort": 30200}, {"name": "a", "port": 81}]}}, content_type=MERGE)
    assert refused.status == 422
    other["spec"]["ports"][0]["nodePort"] = 30200
    assert (await send(cluster, "POST", url, other)).status == 201
    back = await send(cluster, "PATCH", url + "/s", {"spec": {"type": "ClusterIP"}}, content_type=MERGE)
    assert "nodePort" not in back.json["spec"]["ports"][0] and back.json["spec"]["clusterIP"] == "10.96.0.77"
    assert (await send(cluster, "DELETE", url + "/s")).status == 200
    free = {"metadata": {"name": "u"}, "spec": {**service["spec"]}}
    assert (await send(cluster, "POST", url, free)).status == 201
    kubernetes = await cluster.client.get("services", "kubernetes", namespace="default")
    assert kubernetes["spec"]["clusterIP"] == "10.96.0.1"


@bare
async def test_who_may_not(cluster):
    from kubewheel.client.transport import Identity

    await cluster.server.bootstrap.wait_ready()
    nobody = Identity("system:anonymous", groups=("system:unauthenticated",))
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await send(cluster, "GET", path, user=nobody)).status == 200
    for path in ("/api", "/apis", "/metrics", "/openapi/v2", "/"):
        answer = await send(cluster, "GET", path, user=nobody)
        assert answer.status == 403 and answer.json["message"] == (
            f'forbidden: User "system:anonymous" cannot get path "{path}"')
    answer = await send(cluster, "GET", CMS, user=nobody)
    assert answer.json["message"] == ('configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in '
                                      'API group "" in the namespace "default"')
    assert answer.json["details"] == {"kind": "configmaps"}
    assert (await send(cluster, "GET", CMS, user=None, authorization="Bearer nonsense")).status == 401


@bare
async def test_shared_objects_are_guarded(cluster):
    await cluster.client.create("configmaps", config_map("k"))
    await cluster.server.watch_cache.fresh()
    shared = await cluster.client.get("configmaps", "k", namespace="default")
    with pytest.raises(frozen.CachedObjectChanged):
        shared["data"]["a"] = "changed"
    assert json.loads((await send(cluster, "GET", CMS + "/k")).body)["data"] == {"a": "1"}


@bare
async def test_requests_are_counted(cluster):
    await cluster.client.create("configmaps", config_map("m"))
    watch = await send(cluster, "GET", "/api/v1/namespaces/default/podtemplates?watch=1")
    text = (await send(cluster, "GET", "/metrics")).body.decode()
    assert 'apiserver_request_total{component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",' \
           'subresource="",verb="POST",version="v1",code="201"}' in text
    running = 'apiserver_longrunning_requests{component="apiserver",group="",resource="podtemplates",scope="namespace",' \
              'subresource="",verb="WATCH",version="v1"}'
    assert f"{running} 1" in text and 'apiserver_current_inflight_requests{request_kind="readOnly"} 1' in text
    assert "apiserver_request_duration_seconds_bucket" in text
    await watch.chunks.aclose()
    assert f"{running} 0" in (await send(cluster, "GET", "/metrics")).body.decode()
