"""The pure parts of the aggregation layer: order, registration, addresses, merged OpenAPI."""

import random

import pytest

from kubewheel.apiserver.extension.aggregation import (
    availability,
    backend,
    openapi_v2,
    priorities,
    registration,
    remote,
    resolver,
    trust,
)
from kubewheel.apiserver.extension.aggregation.priorities import Priority
from kubewheel.apiserver.options import Options
from kubewheel.client.transport import Identity


def test_groups_and_versions_are_in_order():
    ranks = {("late.example.com", "v1"): Priority(100, 1), ("b.example.com", "v1beta1"): Priority(1000, 100),
             ("b.example.com", "v1"): Priority(1000, 100), ("a.example.com", "v2"): Priority(1000, 10),
             ("a.example.com", "v1"): Priority(1000, 20), ("apps", "v1"): priorities.of("apps", "v1"),
             ("", "v1"): priorities.of("", "v1")}
    assert priorities.ordered(ranks) == {
        "": ["v1"], "apps": ["v1"], "a.example.com": ["v1", "v2"], "b.example.com": ["v1", "v1beta1"],
        "late.example.com": ["v1"]}
    assert priorities.of("autoscaling", "v2") > priorities.of("autoscaling", "v1")
    assert priorities.of("apps", "v1beta1").version < priorities.of("apps", "v1").version
    assert priorities.of("stable.example.com", "v1", custom=True) == (1000, 100)


BUILT_IN, CUSTOM = (registration.apiservice("g.example.com", "v1", custom=custom) for custom in (False, True))
SOMEBODYS = {"metadata": {"name": "v1.g.example.com"}, "spec": {"service": {}}}
CHANGED = {**CUSTOM, "spec": {**CUSTOM["spec"], "versionPriority": 7}}


@pytest.mark.parametrize(("wanted", "present", "synced", "was", "done"), [
    (BUILT_IN, None, False, False, "create"), (BUILT_IN, None, True, False, ""), (CUSTOM, None, True, False, "create"),
    (CUSTOM, CUSTOM, True, False, ""), (CUSTOM, CHANGED, True, False, "update"), (CUSTOM, SOMEBODYS, False, False, ""),
    (BUILT_IN, {**BUILT_IN, "spec": {}}, True, True, ""), (BUILT_IN, {**BUILT_IN, "spec": {}}, False, True, "update"),
    (None, CUSTOM, False, False, "delete"), (None, BUILT_IN, False, True, "delete"), (None, BUILT_IN, True, True, ""),
    (None, SOMEBODYS, False, True, ""),
])
def test_what_registration_does(wanted, present, synced, was, done):
    assert registration.plan(wanted, present, synced=synced, was_at_start=was) == done


def service(**spec):
    return {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [
        {"name": "https", "port": 443}], **spec}}


def endpoint_slice(*addresses, ready=True, name="https", port=8443):
    return {"ports": [{"name": name, "port": port}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": ready}} for a in addresses]}


def test_addresses():
    rng = random.Random(1)
    assert resolver.cluster_ip(service(), 443) == ("10.96.0.9", 443)
    assert resolver.cluster_ip(service(type="ExternalName", externalName="x.example.com."), 444) == ("x.example.com", 444)
    for broken, port, said in ((service(), 1, 'no service port 1 found for service "s"'),
                               (service(clusterIP="None"), 443, 'cannot route to service with ClusterIP "None"')):
        with pytest.raises(resolver.Unresolved, match=said):
            resolver.cluster_ip(broken, port)
    slices = [endpoint_slice("192.0.2.9", ready=False), endpoint_slice("192.0.2.1", "192.0.2.2"),
              endpoint_slice("192.0.2.8", name="http")]
    assert {resolver.endpoint(service(), slices, 443, rng) for _ in range(50)} == {("192.0.2.1", 8443), ("192.0.2.2", 8443)}
    with pytest.raises(resolver.Unresolved, match='no endpoints available for service "s"'):
        resolver.endpoint(service(), slices[:1], 443, rng)


def test_conditions_move_only_when_they_change():
    obj = {"metadata": {"name": "x"}, "spec": {}, "status": {"conditions": [{"type": "Other"}]}}
    made = availability.with_condition(obj, availability.PASSED, 0.0)
    assert made["status"]["conditions"] == [{"type": "Other"}, {
        "type": "Available", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z", "reason": "Passed",
        "message": "all checks passed"}]
    assert availability.with_condition(made, availability.PASSED, 9.0) is None
    later = availability.with_condition(made, ("True", "Local", ""), 9.0)
    assert later["status"]["conditions"][1]["lastTransitionTime"] == "1970-01-01T00:00:00Z"


def test_headers_say_who():
    user = Identity("jane", "u1", ("a,b", "c"), {"example.com/Scope": ["x", "y"]})
    assert backend.proxy_header_list(user) == [
        ("X-Remote-User", "jane"), ("X-Remote-Uid", "u1"), ("X-Remote-Group", "a,b"), ("X-Remote-Group", "c"),
        ("X-Remote-Extra-example.com%2Fscope", "x"), ("X-Remote-Extra-example.com%2Fscope", "y")]


def test_the_config_map_of_trust():
    assert trust.data(Options()) == {}
    found = trust.data(Options(client_ca=b"C", requestheader_client_ca=b"R"))
    assert found["client-ca-file"] == "C" and found["requestheader-client-ca-file"] == "R"
    assert found["requestheader-allowed-names"] == '["front-proxy-client"]'
    assert found["requestheader-extra-headers-prefix"] == '["X-Remote-Extra-"]'


def test_legacy_discovery_becomes_aggregated():
    listed = {"resources": [
        {"name": "things", "singularName": "thing", "namespaced": True, "kind": "Thing", "verbs": ["get"], "shortNames": ["t"]},
        {"name": "things/scale", "singularName": "", "namespaced": True, "kind": "Scale", "group": "autoscaling",
         "version": "v1", "verbs": ["get"]}]}
    assert remote.of_legacy(listed, "g.example.com", "v1") == [{
        "resource": "things", "scope": "Namespaced", "singularResource": "thing", "verbs": ["get"], "shortNames": ["t"],
        "responseKind": {"group": "g.example.com", "version": "v1", "kind": "Thing"},
        "subresources": [{"subresource": "scale", "verbs": ["get"],
                          "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}]}]


def reference(name):
    return {"$ref": f"#/definitions/{name}"}


def test_documents_are_merged_and_ours_stay():
    own = {"swagger": "2.0", "paths": {"/a": {}}, "definitions": {"Meta": {"type": "object"}, "Mine": reference("Meta")}}
    other = {"paths": {"/a": {"x": 1}, "/apis/g/v1": {"get": {"schema": reference("Thing")}}, "/apis/h/v1": {}},
             "definitions": {"Meta": {"type": "string"}, "Thing": {"properties": {"m": reference("Meta")}}, "Unused": {}}}
    cut = openapi_v2.only(other, "/apis/g/v1")
    assert set(cut["paths"]) == {"/apis/g/v1"} and set(cut["definitions"]) == {"Thing", "Meta"}
    made = openapi_v2.merged(own, [cut])
    assert made["definitions"] == {
        "Meta": {"type": "object"}, "Mine": reference("Meta"), "Meta_v2": {"type": "string"},
        "Thing": {"properties": {"m": reference("Meta_v2")}}}
    assert made["paths"] == {"/a": {}, "/apis/g/v1": {"get": {"schema": reference("Thing")}}}
    assert set(own["definitions"]) == {"Meta", "Mine"}


def test_version_2_becomes_version_3():
    made = openapi_v2.to_v3({
        "info": {"title": "t"}, "definitions": {"Thing": {"properties": {"self": reference("Thing")}}},
        "paths": {"/things": {"parameters": [{"name": "ns", "in": "path", "type": "string", "required": True}], "post": {
            "operationId": "make", "consumes": ["application/json"], "produces": ["application/json"],
            "parameters": [{"name": "body", "in": "body", "schema": reference("Thing")}],
            "responses": {"200": {"description": "OK", "schema": reference("Thing")}}}}}})
    ref = {"schema": {"$ref": "#/components/schemas/Thing"}}
    assert made["components"]["schemas"]["Thing"]["properties"]["self"] == ref["schema"]
    assert made["paths"]["/things"] == {
        "parameters": [{"name": "ns", "in": "path", "required": True, "schema": {"type": "string"}}],
        "post": {"operationId": "make", "requestBody": {"content": {"application/json": ref}},
                 "responses": {"200": {"description": "OK", "content": {"application/json": ref}}}}}
