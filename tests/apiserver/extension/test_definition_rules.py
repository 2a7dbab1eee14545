"""What a CustomResourceDefinition may say, in upstream's words."""

import pytest

from kubewheel.api import codec
from kubewheel.api.apiextensions import customresourcedefinition as definitions

STRING, OBJECT = {"type": "string"}, {"type": "object"}
ROOT = "spec.validation.openAPIV3Schema"


def crd(schema=None, *, annotations=None, group="x.example.com", version=None, versions=None, **spec):
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema or OBJECT}, **(version or {})}
    obj = {"metadata": {"name": f"things.{group}", "annotations": annotations or {}}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": versions or [one], **spec}}
    obj = codec.copy(obj)
    definitions.defaults(obj)
    definitions.prepare_create(obj, None)
    return obj


def told(found):
    return [f"{f.field}: {f.body}" for f in found]


def findings(*args, **kwargs):
    return told(definitions.validate(crd(*args, **kwargs)))


def spec_with(**schema):
    return {"type": "object", "properties": {"a": schema}}


A = f"{ROOT}.properties[a]"


@pytest.mark.parametrize(("schema", "words"), [
    (spec_with(type="array"), f"{A}.items: Required value: must be specified"),
    (spec_with(type="array", items={"description": "x"}),
     f"{A}.items.type: Required value: must not be empty for specified array items"),
    (spec_with(type="int"), f'{A}.type: Unsupported value: "int": supported values: "array", "boolean", "integer", "number", '
                            '"object", "string"'),
    (spec_with(type="string", pattern="("), f'{A}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t'),
    (spec_with(type="array", items=STRING, uniqueItems=True),
     f"{A}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"),
    (spec_with(type="object", properties={"b": STRING}, additionalProperties=STRING),
     f"{A}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"),
    (spec_with(**{"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True}),
     f"{A}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"),
    (spec_with(**{"type": "object", "x-kubernetes-preserve-unknown-fields": False}),
     f"{A}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"),
    (spec_with(**{"type": "object", "x-kubernetes-embedded-resource": True}),
     f"{A}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without "
     "x-kubernetes-preserve-unknown-fields"),
    (spec_with(**{"type": "string", "x-kubernetes-list-type": "set"}),
     f'{A}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified'),
    (spec_with(**{"type": "array", "items": OBJECT, "x-kubernetes-list-type": "set"}),
     f"{A}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"),
    (spec_with(**{"type": "array", "items": STRING, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}),
     f'{A}.items.type: Invalid value: "string": must be object if parent array\'s x-kubernetes-list-type is map'),
    (spec_with(**{"type": "array", "items": OBJECT, "x-kubernetes-list-type": "map"}),
     f"{A}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"),
    (spec_with(**{"type": "array", "items": {"type": "object", "properties": {"n": STRING}}, "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["n"]}),
     f"{A}.items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a "
     "default or be a required property"),
    (spec_with(**{"type": "array", "items": OBJECT, "x-kubernetes-list-map-keys": ["n"]}),
     f"{A}.x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"),
    (spec_with(**{"type": "object", "x-kubernetes-map-type": "x"}),
     f'{A}.x-kubernetes-map-type: Unsupported value: "x": supported values: "atomic", "granular"'),
    ({"type": "object", "nullable": True}, f"{ROOT}.nullable: Forbidden: nullable cannot be true at the root"),
    ({"type": "object", "additionalProperties": True}, f"{ROOT}.additionalProperties: Forbidden: must not be used at the root"),
    ({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": OBJECT}}}},
     f"{ROOT}.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is "
     "implicitly specified"),
    ({"type": "object", "properties": {"kind": OBJECT}},
     f'{ROOT}.properties[kind].type: Invalid value: "object": must be string'),
    ({"type": "object", "properties": {"a": STRING}, "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
     f"{ROOT}.properties[b]: Required value: because it is defined in {ROOT}.anyOf[0].properties[b]"),
    ({"type": "object", "oneOf": [{"nullable": True}]}, f"{ROOT}.oneOf[0].nullable: Forbidden: must be false to be structural"),
    ({"type": "object", "not": {"default": 1}}, f"{ROOT}.not.default: Forbidden: must be undefined to be structural"),
    ({"type": "object", "$ref": "x"}, f"{ROOT}.$ref: Forbidden: $ref is not supported"),
    (spec_with(type="string", default=1), f'{A}.default: Invalid value: "integer":  in body must be of type string: "integer"'),
    (spec_with(type="object", properties={"b": STRING}, default={"c": 1}),
     f'{A}.default: Invalid value: {{"c":1}}: must not have unknown fields'),
    (spec_with(type="object", properties={"b": {"type": "integer", "minimum": 3}}, default={"b": 1}),
     f"{A}.default.b: Invalid value: 1: b in body should be greater than or equal to 3"),
    (spec_with(**{"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self > 2"}]}),
     f'{A}.default: Invalid value: 1: failed rule: self > 2'),
    ({"type": "object", "properties": {"apiVersion": {"type": "string", "default": "x"}}},
     f"{ROOT}.properties[apiVersion].default: Forbidden: must not be set in top-level apiVersion"),
])
def test_schemas(schema, words):
    found = findings(schema)
    assert len(found) == 1 and found[0].startswith(words), found


@pytest.mark.parametrize("schema", [
    spec_with(**{"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
    spec_with(**{"x-kubernetes-int-or-string": True,
                 "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "^a"}]}),
    {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    spec_with(type="object", additionalProperties=STRING, default={"x": "y"}),
    {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}}},
    spec_with(**{"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}),
    {"type": "object", "properties": {"a": STRING, "b": STRING}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
])
def test_right_ones(schema):
    assert findings(schema) == []


@pytest.mark.parametrize(("changes", "words"), [
    ({"scope": "Global"}, 'spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"'),
    ({"names": {"plural": "things", "kind": "Thing", "listKind": "Thing"}},
     'spec.names.listKind: Invalid value: "Thing": kind and listKind may not be the same'),
    ({"names": {"plural": "things", "kind": "thing_"}}, "spec.names.singular: Invalid value: \"thing_\": a DNS-1035 label must"),
    ({"names": {"plural": "things", "kind": "Thing", "shortNames": ["A"]}}, 'spec.names.shortNames[0]: Invalid value: "A": '),
    ({"version": {"subresources": {"scale": {"specReplicasPath": ".status.x", "statusReplicasPath": "status.x"}}}},
     'spec.subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec'),
    ({"version": {"additionalPrinterColumns": [{"name": "x", "type": "text", "jsonPath": ".a"}]}},
     'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string'),
    ({"version": {"additionalPrinterColumns": [{"name": "x", "type": "date", "jsonPath": "a"}]}},
     'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "a": must be a simple json path starting with .'),
    ({"version": {"selectableFields": [{"jsonPath": ".nope"}]}},
     'spec.selectableFields[0].jsonPath: Invalid value: ".nope": is an invalid path: does not refer to a valid field'),
    ({"version": {"deprecationWarning": "x"}},
     'spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions'),
    ({"version": {"schema": None}}, "spec.versions[0].schema.openAPIV3Schema: Required value"),
    ({"version": {"name": "V1"}}, 'spec.versions[0].name: Invalid value: "V1": a DNS-1035 label must'),
    ({"conversion": {"strategy": "Webhook"}},
     "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook"),
    ({"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "http://x/"},
                                                        "conversionReviewVersions": ["v1"]}}},
     'spec.conversion.webhookClientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired '
     "format: https://host[/path]"),
    ({"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x/"},
                                                        "conversionReviewVersions": ["v7"]}}},
     'spec.conversion.conversionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1'),
    ({"preserveUnknownFields": True}, "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
     "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"),
    ({"group": "x.k8s.io"}, "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have "
     'approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111'),
    ({"group": "x.k8s.io", "annotations": {"api-approved.kubernetes.io": "me"}},
     "metadata.annotations[api-approved.kubernetes.io]: Invalid value: \"me\": protected groups must have approval annotation"),
])
def test_definitions(changes, words):
    found = findings(**changes)
    assert found and found[0].startswith(words), found


def test_versions_that_differ_are_told_apart():
    def version(name, schema, storage):
        return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}

    found = findings(versions=[version("v1", OBJECT, True), version("v2", {"type": "object", "nullable": True}, False)])
    assert found == ["spec.versions[1].schema.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root"]


def test_updates():
    old = crd()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    new = codec.copy(old)
    new["spec"] |= {"scope": "Cluster", "group": "y.example.com"}
    assert told(definitions.validate_update(new, old)) == [
        'spec.scope: Invalid value: "Cluster": field is immutable', 'spec.group: Invalid value: "y.example.com": field is immutable']
    new = codec.copy(old)
    new["spec"]["versions"][0]["name"] = "v2"
    assert told(definitions.validate_update(new, old)) == [
        'status.storedVersions: Invalid value: ["v1"]: must have the storage version v2',
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage version, and '
        "must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from "
        "status.storedVersions"]
