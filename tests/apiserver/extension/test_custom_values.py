"""Custom resources against their schema: upstream's words, what an update may leave as it is, what is read."""

import random

import pytest

from kubewheel.api import codec
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.apiextensions import fits, nodes, values
from kubewheel.apiserver.extension.crd import resource

STRING = {"type": "string"}


def served(spec, *, status=None, subresources=None, since=0, **version):
    obj = {"metadata": {"name": "things.x.example.com"}, "spec": {
        "group": "x.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
            "name": "v1", "served": True, "storage": True, **version, "subresources": subresources or {},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": spec, **({"status": status} if status else {})}}}}]}}
    obj = codec.copy(obj)
    definitions.defaults(obj)
    return resource.resources(obj, since=since)[0]


def told(found):
    return [f"{f.field}: {f.body}" for f in found]


def fields(**properties):
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(("schema", "value", "words"), [
    ({"type": "number", "multipleOf": 0.5}, 1.3, "spec.a: Invalid value: 1.3: spec.a in body should be a multiple of 0.5"),
    ({"type": "integer", "maximum": 3, "exclusiveMaximum": True}, 3, "spec.a: Invalid value: 3: spec.a in body should be less than 3"),
    ({"type": "string", "minLength": 2}, "x", 'spec.a: Invalid value: "x": spec.a in body should be at least 2 chars long'),
    ({"type": "string", "format": "date"}, "x", 'spec.a: Invalid value: "x": spec.a in body must be of type date: "x"'),
    ({"type": "string", "format": "ipv4"}, "::1", 'spec.a: Invalid value: "::1": spec.a in body must be of type ipv4: "::1"'),
    ({"type": "string", "format": "nobody-knows"}, "x", None),
    ({"type": "string", "enum": ["x", "y"]}, "z", 'spec.a: Unsupported value: "z": supported values: "x", "y"'),
    ({"type": "array", "items": STRING, "minItems": 1}, [], "spec.a: Invalid value: 0: spec.a in body should have at least 1 items"),
    ({"type": "array", "items": STRING, "maxItems": 1}, ["x", "y"], "spec.a: Too many: 2: must have at most 1 item"),
    ({"type": "array", "items": STRING}, ["x", 1], 'spec.a[1]: Invalid value: "integer": spec.a[1] in body must be of type string: '
                                                   '"integer"'),
    ({"type": "object", "additionalProperties": STRING, "maxProperties": 1}, {"x": "1", "y": "2"},
     "spec.a: Too many: 2: must have at most 1 item"),
    ({"type": "object", "additionalProperties": STRING}, {"x": 1},
     'spec.a.x: Invalid value: "integer": spec.a.x in body must be of type string: "integer"'),
    ({"type": "object", "properties": {"b": STRING}, "required": ["b"]}, {}, "spec.a.b: Required value"),
    ({"type": "integer", "not": {"minimum": 3}}, 4, '<nil>: Invalid value: "": "spec.a" must not validate the schema (not)'),
    ({"type": "string", "nullable": True}, None, None),
])
def test_words(schema, value, words):
    found = told(served(fields(a=schema)).validate({"spec": {"a": value}}))
    assert found == ([words] if words else [])


def test_what_did_not_change_may_stay_as_it_is():
    made = served(fields(a={"type": "string", "maxLength": 2}, n={"type": "integer"}, list={
        "type": "array", "items": {"type": "string", "maxLength": 2}}, map={
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {
            "type": "object", "required": ["k"], "properties": {"k": STRING, "v": {"type": "integer", "minimum": 5}}}}))
    old = {"spec": {"a": "long", "n": 1, "list": ["long"], "map": [{"k": "x", "v": 1}, {"k": "y", "v": 6}]}}
    new = codec.copy(old)
    new["spec"]["n"] = 2
    new["spec"]["map"] = [{"k": "y", "v": 7}, {"k": "x", "v": 1}]  # found again by their keys
    assert made.validate_update(new, old) == []
    new["spec"]["list"].append("ok")  # elements of an atomic list are not found again
    assert told(made.validate_update(new, old)) == ["spec.list[0]: Too long: may not be more than 2 bytes"]
    new = codec.copy(old)
    new["spec"]["a"] = "other"
    assert told(made.validate_update(new, old)) == ["spec.a: Too long: may not be more than 2 bytes"]


def test_doubles_may_stay_where_there_were_doubles():
    made = served(fields(a={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}, n={"type": "integer"}))
    double = {"spec": {"a": ["x", "x"], "n": 1}}
    assert told(made.validate(double)) == ['spec.a[1]: Duplicate value: "x"']
    assert made.validate_update({"spec": {"a": ["x", "x"], "n": 2}}, double) == []
    assert told(made.validate_update(double, {"spec": {"a": ["x"]}})) == ['spec.a[1]: Duplicate value: "x"']


def test_embedded_resources():
    made = served(fields(a={"type": "object", "x-kubernetes-embedded-resource": True,
                            "x-kubernetes-preserve-unknown-fields": True}))
    assert told(made.validate({"spec": {"a": {}}})) == [
        "spec.a.apiVersion: Required value", "spec.a.kind: Required value"]
    whole = {"apiVersion": "a/b/c", "kind": "K_", "metadata": {"name": "a/b", "labels": {"-": "x"}}}
    found = told(made.validate({"spec": {"a": whole}}))
    assert found[0] == 'spec.a.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'
    assert [f.partition(":")[0] for f in found[1:]] == ["spec.a.kind", "spec.a.metadata.name", "spec.a.metadata.labels"]


def test_scale_is_a_scale():
    paths = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    made = served(fields(n={"type": "integer"}), status=fields(n={"type": "integer"}), subresources={"status": {}, "scale": paths})
    assert told(made.validate({"spec": {"n": -1}, "status": {"n": 2**31}})) == [
        ".spec.n: Invalid value: -1: should be a non-negative integer",
        ".status.n: Invalid value: 2147483648: should be less than or equal to 2147483647"]


def test_old_objects_are_read_as_the_schema_has_them_now():
    made = served(fields(a=STRING, d={"type": "string", "default": "x"}, n=STRING), since=5)
    stored = {"apiVersion": "x.example.com/v1", "kind": "Thing", "metadata": {"name": "a", "resourceVersion": "4"},
              "spec": {"a": "1", "gone": 2, "n": None}, "extra": 1}
    assert made.custom.read(stored) == {
        "apiVersion": "x.example.com/v1", "kind": "Thing", "metadata": {"name": "a", "resourceVersion": "4"},
        "spec": {"a": "1", "d": "x"}}
    newer = {**stored, "metadata": {"name": "a", "resourceVersion": "6"}}
    assert made.custom.read(newer) is newer
    odd = {**stored, "metadata": {"name": "a", "resourceVersion": "4", "labels": 3}}
    assert made.custom.read(odd)["metadata"]["labels"] == 3, "what does not decode is shown as it is"


def test_deprecation():
    assert served(fields()).custom.deprecation == ""
    assert served(fields(), deprecated=True).custom.deprecation == "x.example.com/v1 Thing is deprecated"
    assert served(fields(), deprecated=True, deprecationWarning="go away").custom.deprecation == "go away"
    spec = {"group": "g", "names": {"kind": "K"}, "versions": [
        {"name": "v1beta1", "served": True, "deprecated": True}, {"name": "v1", "served": True}, {"name": "v2", "served": False}]}
    assert resource.deprecation(spec, spec["versions"][0]) == "g/v1beta1 K is deprecated; use g/v1 K"


ATOMS = ({"type": "string", "maxLength": 2}, {"type": "string", "pattern": "^a", "nullable": True}, {"type": "integer", "minimum": 1},
         {"type": "number", "multipleOf": 0.5, "maximum": 3, "exclusiveMaximum": True}, {"type": "boolean"},
         {"type": "string", "format": "date"}, {"x-kubernetes-int-or-string": True}, {"enum": ["a", 1, None]}, {"minLength": 1},
         {"required": ["a"]}, {"x-kubernetes-preserve-unknown-fields": True})
VALUES = ("a", "abc", "", "2024-01-02", 0, 1, 2, 2.5, 1.0, True, None, [], {}, ["a"], {"a": "a"}, {"a": 1, "b": [1, "x"]})


def a_schema(rng, depth):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(ATOMS)
    made = [a_schema(rng, depth - 1) for _ in range(2)]
    return rng.choice((
        {"type": "object", "properties": {"a": made[0], "b": made[1]}, "required": rng.choice(([], ["a"]))},
        {"type": "object", "additionalProperties": made[0], "maxProperties": rng.choice((1, 5))},
        {"type": "array", "items": made[0], "minItems": rng.choice((0, 1)), "uniqueItems": rng.random() < 0.5},
        {rng.choice(("anyOf", "oneOf", "allOf")): made}, {"not": made[0]}, {**made[0], "nullable": True}))


def a_value(rng, depth):
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(VALUES)
    return rng.choice(([a_value(rng, depth - 1)] * rng.choice((1, 2)), {"a": a_value(rng, depth - 1), "b": a_value(rng, depth - 1)}))


def test_the_fast_way_and_the_slow_way_agree():
    right = 0
    for seed in range(3000):
        rng = random.Random(seed)
        schema, value = a_schema(rng, 3), a_value(rng, 3)
        slow = values.findings(nodes.build(schema), value)
        assert fits.compile(schema)(value) is (not slow), (schema, value, slow)
        right += not slow
    assert 500 < right < 2500
