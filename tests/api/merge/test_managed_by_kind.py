"""Who owns what on built-in kinds, and what an applied configuration is refused for: as upstream's field manager answers,
with the types of its own client library."""

import json

import pytest

from kubewheel.api import errors, schema
from kubewheel.api.merge import apply, managed

META = {"name": "o", "uid": "u"}


def endpoint(kind):
    return managed.Endpoint(schema.definition(f"io.k8s.api.{kind}"), kind.rpartition(".")[0].replace(".", "/").removeprefix("core/"))


def owned(entries):
    return {e["manager"]: json.dumps(e["fieldsV1"], separators=(",", ":")) for e in entries}


@pytest.mark.parametrize(("kind", "body", "fieldset"), [
    ("networking.v1.NetworkPolicy", {"spec": {"podSelector": {}}}, None),  # a struct by value: there before it is set
    ("networking.v1.NetworkPolicy", {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}, '{"f:spec":{"f:podSelector":{}}}'),
    ("apps.v1.Deployment", {"spec": {"selector": {}}}, '{"f:spec":{"f:selector":{}}}'),  # by pointer: was not
    ("rbac.v1.Role", {"rules": None}, None),
    ("rbac.v1.Role", {"rules": []}, '{"f:rules":{}}'),
    ("discovery.v1.EndpointSlice", {"addressType": "IPv4", "endpoints": None, "ports": None}, '{"f:addressType":{}}'),
    ("apps.v1.StatefulSet", {"spec": {"serviceName": "", "updateStrategy": {}}}, None),
])
def test_what_a_new_object_sets(kind, body, fieldset):
    entries = managed.updated(endpoint(kind), None, {"metadata": META, **body}, manager="m", now=0)
    assert owned(entries) == ({"m": fieldset} if fieldset else {})


@pytest.mark.parametrize(("kind", "body", "fieldset"), [
    ("core.v1.ConfigMap", {"metadata": {"name": "o", "ownerReferences": []}, "data": {"a": "b"}}, '{"f:data":{"f:a":{}}}'),
    ("core.v1.Pod", {"metadata": {"name": "o", "finalizers": []}, "spec": {"containers": [{"name": "c", "ports": []}]}},
     '{"f:spec":{"f:containers":{"k:{\\"name\\":\\"c\\"}":{".":{},"f:name":{}}}}}'),
    ("core.v1.Pod", {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}, {"protocol": "UDP"}]}]}},
     '{"f:spec":{"f:containers":{"k:{\\"name\\":\\"c\\"}":{".":{},"f:name":{},"f:ports":{'
     '"k:{\\"containerPort\\":0,\\"protocol\\":\\"UDP\\"}":{".":{},"f:protocol":{}},'
     '"k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}":{".":{},"f:containerPort":{}}}}}}}'),
    ("core.v1.Node", {"status": {"addresses": [{"address": "a"}]}},  # a key that Go writes when it is empty has a default
     '{"f:status":{"f:addresses":{"k:{\\"type\\":\\"\\"}":{".":{},"f:address":{}}}}}'),
    ("core.v1.ConfigMap", {"metadata": {"name": "o", "labels": {}}}, '{"f:metadata":{"f:labels":{}}}'),
])
def test_what_a_configuration_sets(kind, body, fieldset):
    body = {"metadata": {"name": "o"}, **body}
    made = apply.apply(endpoint(kind), None, body, manager="m", force=False, now=0)
    assert owned(made["metadata"]["managedFields"]) == {"m": fieldset}


def test_what_nobody_owns_stays_when_all_owned_metadata_goes():
    end = endpoint("core.v1.ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "labels": {"a": "b"}}, "data": {"a": "b"}}
    live = apply.apply(end, None, body, manager="m", force=False, now=0)
    live["metadata"]["uid"] = "u"
    less = apply.apply(end, live, {**body, "metadata": {"name": "o"}}, manager="m", force=False, now=1)
    assert {k: v for k, v in less["metadata"].items() if k != "managedFields"} == META


@pytest.mark.parametrize(("kind", "body", "why"), [
    ("networking.v1.NetworkPolicy", {"apiVersion": "v1", "spec": {"podSelector": {"zz": ["a"]}}},
     ".spec.podSelector.zz: field not declared in schema"),
    ("core.v1.ConfigMap", {"binaryData": {"b": {"a": "b"}}},
     '.binaryData.b: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"a":"b"}}'),
    ("core.v1.Pod", {"spec": {"containers": [{"name": "c", "ports": [
        {"containerPort": 80}, {"containerPort": 80, "protocol": None}, {"containerPort": 80, "name": "x"}]}]}},
     '.spec.containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]'),
])
def test_what_does_not_fit(kind, body, why):
    body = {"apiVersion": "v1", "kind": kind.rpartition(".")[2], "metadata": {"name": "o"}, **body}
    told = apply.misfit(endpoint(kind).node, body).message
    assert told == f"failed to create typed patch object (/o; /v1, Kind={body['kind']}): {why}"


def test_misfits_are_told_before_conflicts():
    end = endpoint("core.v1.Pod")
    live = apply.apply(end, None, {"metadata": META, "spec": {"hostname": "a"}}, manager="one", force=False, now=0)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "o"}, "spec": {"hostname": "b", "nodeName": 5}}
    with pytest.raises(errors.StatusError) as caught:
        apply.apply(end, live, body, manager="two", force=False, now=1)
    assert caught.value.message == ("failed to create typed patch object (/o; /v1, Kind=Pod): .spec.nodeName: expected string, "
                                    "got &value.valueUnstructured{Value:5}")
