"""Schemas and values held against tables of what upstream's apiextensions-apiserver 0.36 answers: of a definition whose
property `a` (or one allOf of it) has the schema; of an object whose property has it. A stands for where it stands."""

import json
from itertools import groupby
from pathlib import Path

from kubewheel.api import codec, schema
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.apiextensions import fits
from kubewheel.apiserver.extension.crd import resource

HERE = Path(__file__).parent
ROOT = "spec.validation.openAPIV3Schema.properties[a]"


def load(name):
    return json.loads((HERE / name).read_text())


def told(found, path):
    return [f"{f.field}: {f.body}".replace(path, "A") for f in found]


def definition(declared):
    obj = {"metadata": {"name": "things.x.example.com"}, "spec": {
        "group": "x.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
            "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": declared}}]}}
    obj = codec.copy(obj)
    schema.check(definitions.RESOURCE.node(), obj)
    definitions.defaults(obj)
    definitions.prepare_create(obj, None)
    return obj


def test_what_is_said_of_schemas():
    different = []
    for fact in load("facts_schemas.json"):
        inner = fact["schema"] if fact["where"] == "property" else {"type": "object", "allOf": [fact["schema"]]}
        found = told(definitions.validate(definition({"type": "object", "properties": {"a": inner}})), ROOT)
        if sorted(found) != sorted(fact["told"]):
            different.append((fact, found))
    assert different == []


def test_what_is_said_of_values():
    different = []
    for schema_told, cases in groupby(load("facts_values.json"), key=lambda fact: fact["schema"]):
        made = resource.resources(definition({"type": "object", "properties": {"spec": {
            "type": "object", "properties": {"it": schema_told}}}}))[0]
        for case in cases:
            obj = {"apiVersion": "x.example.com/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"it": case["value"]}}
            obj = codec.copy(obj)
            try:
                schema.check(made.schema_node, obj)
                schema.apply_defaults(made.schema_node, obj)
                found = told(made.validate(obj), "spec.it")
            except schema.DecodeError as e:
                found = [f"400 {e}".replace("spec.it", "A")]
            if sorted(found) != sorted(case["told"]):
                different.append((case, found))
            is_right = fits.compile(made.schema_node.raw)(obj)
            assert not is_right or not [f for f in found if f.startswith("A: ") and " in body " in f], case
    assert different == []
