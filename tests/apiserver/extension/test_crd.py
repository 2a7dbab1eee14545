"""CustomResourceDefinitions: rules of schemas, values against them, and their life in a server."""

import pytest

import kubewheel.testing as testing
from kubewheel.api import codec, errors, schema
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.apiextensions import nodes, values
from kubewheel.api.resource import Gvr
from kubewheel.apiserver.extension.crd import jsonpath, resource, status

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
CRONTABS = Gvr("stable.example.com", "v1", "crontabs")
SPEC = {"type": "object", "required": ["cronSpec"], "properties": {
    "cronSpec": {"type": "string", "pattern": "^[0-9* /]+$", "maxLength": 9},
    "image": {"type": "string", "default": "busybox"},
    "replicas": {"type": "integer", "minimum": 1, "maximum": 10},
    "mode": {"type": "string", "enum": ["b", "a"]},
    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set", "maxItems": 2},
    "port": {"x-kubernetes-int-or-string": True},
    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}}}
SCHEMA = {"type": "object", "properties": {"spec": SPEC, "status": {
    "type": "object", "properties": {"replicas": {"type": "integer"}}}}}


def crd(plural="crontabs", kind="CronTab", **version):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.stable.example.com"}, "spec": {
                "group": "stable.example.com", "scope": "Namespaced",
                "names": {"plural": plural, "kind": kind, "shortNames": ["ct"]},
                "versions": [{"name": "v1", "served": True, "storage": True,
                              "schema": {"openAPIV3Schema": SCHEMA}, **version}]}}


def prepared(**version):
    obj = codec.copy(crd(**version))
    definitions.defaults(obj)
    definitions.prepare_create(obj, None)
    return obj


@pytest.mark.parametrize(("spec", "field", "body"), [
    ({}, "spec.cronSpec", "Required value"),
    ({"cronSpec": 3}, "spec.cronSpec",
     'Invalid value: "integer": spec.cronSpec in body must be of type string: "integer"'),
    ({"cronSpec": None}, "spec.cronSpec",
     'Invalid value: "null": spec.cronSpec in body must be of type string: "null"'),
    ({"cronSpec": "abc"}, "spec.cronSpec", "Invalid value: \"abc\": spec.cronSpec in body should match '^[0-9* /]+$'"),
    ({"cronSpec": "* * * * * *"}, "spec.cronSpec", "Too long: may not be more than 9 bytes"),
    ({"cronSpec": "*", "replicas": 0}, "spec.replicas",
     "Invalid value: 0: spec.replicas in body should be greater than or equal to 1"),
    ({"cronSpec": "*", "replicas": 11}, "spec.replicas",
     "Invalid value: 11: spec.replicas in body should be less than or equal to 10"),
    ({"cronSpec": "*", "mode": "c"}, "spec.mode", 'Unsupported value: "c": supported values: "b", "a"'),
    ({"cronSpec": "*", "tags": ["x", "y", "z"]}, "spec.tags", "Too many: 3: must have at most 2 items"),
    ({"cronSpec": "*", "port": True}, "spec.port",
     'Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'),
    ({"cronSpec": "*", "one": {}}, "<nil>",
     'Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found none valid'),
])
def test_values(spec, field, body):
    found = values.findings(nodes.root(SCHEMA), {"spec": spec})
    assert (found[0].field, found[0].body) == (field, body)


def test_what_stands_in_a_set_stands_there_once():
    found = values.lists(SCHEMA, {"spec": {"tags": ["x", "y", "x"]}})
    assert [(f.field, f.body) for f in found] == [("spec.tags[2]", 'Duplicate value: "x"')]


def test_unchanged_values_are_not_judged_again():
    node = nodes.root(SCHEMA)
    old = {"spec": {"cronSpec": "abc", "image": "x"}}
    assert values.findings(node, {"spec": {"cronSpec": "abc", "image": "y"}}, old=old) == []
    assert values.findings(node, {"spec": {"cronSpec": "abd"}}, old=old)


def test_pruning_and_defaults():
    node = nodes.root(SCHEMA)
    obj = {"apiVersion": "x/v1", "kind": "C", "extra": 1, "metadata": {"name": "a", "wrong": 1},
           "spec": {"foo": 1, "free": {"any": {"thing": 1}}, "image": None}}
    assert schema.check(node, obj) == [
        'unknown field "metadata.wrong"', 'unknown field "extra"', 'unknown field "spec.foo"']
    schema.apply_defaults(node, obj)
    assert obj == {"apiVersion": "x/v1", "kind": "C", "metadata": {"name": "a"},
                   "spec": {"free": {"any": {"thing": 1}}, "image": "busybox"}}


@pytest.mark.parametrize(("written", "finding"), [
    ({"properties": {}}, "type: Required value: must not be empty at the root"),
    ({"type": "object", "properties": {"a": {"description": "x"}}},
     "properties[a].type: Required value: must not be empty for specified object fields"),
    ({"type": "object", "properties": {"a": {"type": "array"}}},
     "properties[a].items: Required value: must be specified"),
    ({"type": "object", "anyOf": [{"type": "object"}]}, "anyOf[0].type: Forbidden: must be empty to be structural"),
])
def test_structural_rules(written, finding):
    found = definitions.validate(prepared(schema={"openAPIV3Schema": written}))
    assert [f"{f.field}: {f.body}" for f in found] == ["spec.validation.openAPIV3Schema." + finding]


def test_definition_rules():
    assert definitions.validate(prepared()) == []
    wrong = prepared(storage=False)
    wrong["metadata"]["name"] = "x"
    assert [f.body.rpartition(": ")[2] for f in definitions.validate(wrong)] == [
        'must be spec.names.plural+"."+spec.group', "must have exactly one version marked as storage version",
        "must have at least one stored version"]


def test_names_in_use_are_refused():
    first = prepared()
    first["status"] = status.wanted(first, [], now="t")
    assert [(c["type"], c["status"], c["reason"]) for c in first["status"]["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts"), ("Established", "False", "Installing")]
    first["status"] = status.wanted(first, [], now="t")  # once others have seen the names
    assert [(c["type"], c["status"], c["reason"]) for c in first["status"]["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")]
    second = codec.copy(crd("others", "CronTab"))
    definitions.defaults(second)
    told = status.wanted(second, [first], now="t")["conditions"]
    assert [(c["type"], c["status"], c["reason"]) for c in told] == [
        ("NamesAccepted", "False", "ListKindConflict"), ("Established", "False", "NotAccepted")]


@pytest.mark.parametrize(("annotation", "value", "reason"), [
    ("https://github.com/kubernetes/kubernetes/pull/1", "True", "ApprovedAnnotation"),
    ("unapproved, for tests", "False", "UnapprovedAnnotation"), ("", "False", "MissingAnnotation"),
    ("me", "False", "InvalidAnnotation")])
def test_groups_of_the_community_tell_of_their_approval(annotation, value, reason):
    obj = codec.copy(prepared())
    obj["spec"]["group"], obj["metadata"]["annotations"] = "x.k8s.io", {"api-approved.kubernetes.io": annotation}
    condition = status.wanted(obj, [], now="t")["conditions"][-1]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "KubernetesAPIApprovalPolicyConformant", value, reason)


@pytest.mark.parametrize(("path", "found"), [
    (".spec.a", [1]), ("{.spec.a}", [1]), (".spec.list[*].n", ["x", "y"]), (".spec.list[1].n", ["y"]),
    ('.spec.list[?(@.n=="y")].v', [2]), (".spec['d.e']", []), (".spec['a','none']", [1]),
    (r".spec.d\.e", [3]), (".spec.none.deep", []),
    ("..v", [1, 2]), (".spec.list[-1].v", [2])])
def test_jsonpath(path, found):
    obj = {"spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "d.e": 3}}
    assert jsonpath.compile(path)(obj) == found


def test_columns():
    made = resource.resources(prepared(additionalPrinterColumns=[
        {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
        {"name": "N", "type": "integer", "jsonPath": ".spec.replicas"}]))[0]
    obj = {"metadata": {"name": "a"}, "spec": {"cronSpec": "*"}}
    assert [(c.name, c.cell(obj, 0.0)) for c in made.columns] == [("Name", "a"), ("Spec", "*"), ("N", None)]


async def established(c, name):
    return await c.wait_for(CRDS, name, lambda o: definitions.is_true(o, "Established"), namespace=None)


async def test_life_of_a_custom_resource():
    async with testing.cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.client.create(CRDS, crd(subresources={"status": {}}))
        seen = await established(c, "crontabs.stable.example.com")
        assert seen["status"]["acceptedNames"]["listKind"] == "CronTabList"
        assert seen["status"]["storedVersions"] == ["v1"]
        made = await c.client.create(CRONTABS, {"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {
            "name": "a", "namespace": "default"}, "spec": {"cronSpec": "*"}, "status": {"replicas": 3}})
        assert made["spec"] == {"cronSpec": "*", "image": "busybox"} and "status" not in made
        with pytest.raises(errors.StatusError) as refused:
            await c.client.create(CRONTABS, {"metadata": {"name": "b", "namespace": "default"}, "spec": {}})
        assert refused.value.message == 'CronTab.stable.example.com "b" is invalid: spec.cronSpec: Required value'
        changed = await c.client.update_status(CRONTABS, codec.copy(made) | {"status": {"replicas": 2}})
        assert changed["status"] == {"replicas": 2}
        await c.client.delete(CRDS, "crontabs.stable.example.com")
        await c.wait_gone(CRDS, "crontabs.stable.example.com", namespace=None)
        with pytest.raises(errors.StatusError) as gone:
            await c.client.list(CRONTABS)
        assert gone.value.code == 404
