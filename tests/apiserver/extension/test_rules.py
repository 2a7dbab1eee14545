"""x-kubernetes-validations: what compiles, and objects held against it."""

import asyncio

import pytest

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.apiextensions import evaluation, schemas
from kubewheel.api.apiextensions import rules as validations
from kubewheel.api.resource import Gvr


def schema(*declared, **properties):
    properties = properties or {"min": {"type": "integer"}, "max": {"type": "integer"}, "name": {"type": "string"},
                                "ratio": {"type": "number"}, "at": {"type": "string", "format": "date-time"},
                                "foo.bar": {"type": "string"}, "namespace": {"type": "string"},
                                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
                                          "items": {"type": "object", "required": ["n"], "properties": {
                                              "n": {"type": "string"}, "v": {"type": "integer"}}}}}
    return {"type": "object", "properties": {"spec": {
        "type": "object", "properties": properties, validations.EXTENSION: [
            {"rule": r} if isinstance(r, str) else r for r in declared]}}}


def found(declared, spec, old=None):
    tree = validations.tree(schema(*declared), root=True)
    out = evaluation.findings(tree, {"spec": spec}, old=None if old is None else {"spec": old})
    return [f"{f.field}: {f.body}" for f in out]


@pytest.mark.parametrize(("rule", "spec", "words"), [
    ("self.min <= self.max", {"min": 1, "max": 2}, None),
    ("self.min <= self.max", {"min": 3, "max": 2}, 'spec: Invalid value: failed rule: self.min <= self.max'),
    ({"rule": "self.min <= self.max", "message": "min first"}, {"min": 3, "max": 2},
     'spec: Invalid value: min first'),
    ({"rule": "self.min > 1", "messageExpression": "'is %d'.format([self.min])", "fieldPath": ".min",
      "reason": "FieldValueForbidden"}, {"min": 1}, "spec.min: Forbidden: is 1"),
    ("self.min > 1", {}, 'spec: Invalid value: "object": no such key: min evaluating rule: self.min > 1'),
    ("self.ratio * 2.0 == 4.0", {"ratio": 2}, None),
    ("self.at > timestamp('2020-01-01T00:00:00Z')", {"at": "2021-01-01T00:00:00Z"}, None),
    ("self.foo__dot__bar == 'x' && self.__namespace__ == 'y'", {"foo.bar": "x", "namespace": "y"}, None),
    ("self.tags == ['b', 'a'] || true", {"tags": ["a", "b"]}, None),
])
def test_values(rule, spec, words):
    assert found([rule], spec) == ([words] if words else [])


def kinds(rules, spec, old):
    tree = validations.tree(schema(*rules), root=True)
    return [f.type for f in evaluation.findings(tree, {"spec": spec}, old={"spec": old})]


def test_transition_rules_and_ratcheting():
    assert found(["self.name == oldSelf.name"], {"name": "b"}) == []
    assert found(["self.name == oldSelf.name"], {"name": "b"}, {"name": "a"}) == [
        'spec: Invalid value: failed rule: self.name == oldSelf.name']
    optional = {"rule": "!oldSelf.hasValue() || self.name == oldSelf.value().name", "optionalOldSelf": True}
    assert found([optional], {"name": "b"}) == []
    assert len(found([optional], {"name": "b"}, {"name": "a"})) == 1
    assert kinds(["self.min > 5"], {"min": 1}, {"min": 1}) == [errors.RATCHETED]  # a warning: it did not change
    assert len(found(["self.min > 5"], {"min": 2}, {"min": 1})) == 1


def test_cost_is_bounded():
    items = {"type": "array", "items": {"type": "integer"}}
    rule = "self.a.all(x, self.a.all(y, self.a.all(z, x + y + z >= 0)))"
    tree = validations.tree(schema(rule, a=items), root=True)
    out = evaluation.findings(tree, {"spec": {"a": [1] * 200}})
    assert out[0].body.startswith("Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further")


@pytest.mark.parametrize(("rule", "words"), [
    ("self.min >", "Syntax error"), ("self.none == 1", "undefined field 'none'"), ("self.min", "must evaluate to a bool"),
    ("self.min == 'x'", "found no matching overload for '_==_' applied to '(int, string)'"), ("", "rule is not specified"),
    ("elephant == 1", "undeclared reference to 'elephant'"),
    ({"rule": "true", "reason": "X"}, 'Unsupported value: "X"'),
    ({"rule": "true", "fieldPath": ".none"}, "must be a valid path"),
    ({"rule": "true", "optionalOldSelf": True}, "may not be set if oldSelf is not used in rule"),
])
def test_rules_that_do_not_compile(rule, words):
    out = schemas.check(schema(rule), "s")
    assert len(out) == 1 and words in out[0].body and out[0].field.startswith(
        "s.properties[spec].x-kubernetes-validations[0]")


def test_old_values_of_lists_that_cannot_be_correlated():
    items = {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 9, validations.EXTENSION: [{"rule": "self == oldSelf"}]}}
    assert "uncorrelatable portion" in schemas.check(schema(a=items), "s")[0].body


@testing.with_cluster()
async def test_rules_in_a_server(cluster):
    client, gvr = cluster.client, Gvr("r.example.com", "v1", "rules")

    def crd(rule):
        return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "rules.r.example.com"}, "spec": {
                    "group": "r.example.com", "scope": "Cluster", "names": {"plural": "rules", "kind": "Rule"},
                    "versions": [{"name": "v1", "served": True, "storage": True,
                                  "schema": {"openAPIV3Schema": schema(rule)}}]}}

    crds = "customresourcedefinitions.apiextensions.k8s.io"
    with pytest.raises(errors.StatusError, match="compilation failed: ERROR: <input>:1:5: undefined field 'q'"):
        await client.create(crds, crd("self.q == 1"))
    await client.create(crds, crd("self.min <= self.max"))
    async with asyncio.timeout(5):
        while not definitions.is_true(await client.get(crds, "rules.r.example.com"), "Established"):
            await asyncio.sleep(0.01)
    made = await client.create(gvr, {"metadata": {"name": "a"}, "spec": {"min": 1, "max": 2}})
    with pytest.raises(errors.StatusError) as e:
        await client.update(gvr, {**made, "spec": {"min": 3, "max": 2}})
    assert (e.value.code, e.value.message) == (422, (
        'Rule.r.example.com "a" is invalid: spec: Invalid value: failed rule: self.min <= self.max'))
