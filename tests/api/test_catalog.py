"""The whole catalog: every kind has what the server needs of it, and an example that is good."""

from __future__ import annotations

import pathlib
import random
from collections import Counter

import pytest
import yaml

from kubewheel.api import catalog, codec, table, validation
from kubewheel.api.resource import PrepareContext, Resource

EXAMPLES = [doc for path in sorted((pathlib.Path(__file__).parent / "examples").glob("*.yaml"))
            for doc in yaml.safe_load_all(path.read_text())]
STORED = [r for r in catalog.RESOURCES if not r.not_stored]
NOW = 1_767_226_200.0  # 2026-01-01T00:10:00Z


def resource_of(doc: dict) -> Resource:
    found = [r for r in catalog.RESOURCES if r.kind == doc["kind"] and r.api_version == doc["apiVersion"]]
    assert len(found) == 1, doc["kind"]
    return found[0]


def context() -> PrepareContext:
    return PrepareContext(now=NOW, random=random.Random(1))


def test_every_stored_kind_has_an_example():
    have = {(d["apiVersion"], d["kind"]) for d in EXAMPLES}
    missing = {(r.api_version, r.kind) for r in STORED} - have
    assert not missing


def test_registry_paths_are_unique():
    counts = Counter(r.registry for r in STORED if r.hub is None)
    assert [path for path, n in counts.items() if n > 1 or not path] == []


def test_resources_are_unique_and_columns_name_the_object():
    assert len({r.gvr for r in catalog.RESOURCES}) == len(catalog.RESOURCES)
    for r in STORED:
        if r.columns and r.kind not in ("Event", "StorageVersionMigration"):
            assert r.columns[0].format == "name", r.qualified


@pytest.mark.parametrize("r", catalog.RESOURCES, ids=lambda r: f"{r.qualified}-{r.version}")
def test_definition_exists(r: Resource):
    node = r.node()
    assert node.type == "object"
    assert r.not_stored or "metadata" in node.fields


@pytest.mark.parametrize("doc", EXAMPLES, ids=lambda d: f"{d['kind']}-{d['apiVersion']}")
def test_example_is_good(doc: dict):
    r = resource_of(doc)
    obj = codec.copy(doc)
    r.defaults(obj)
    again = codec.copy(obj)
    r.defaults(again)
    assert again == obj  # idempotent
    rule = r.name_rule
    assert validation.validate_meta(obj["metadata"], namespaced=r.namespaced, name_rule=rule) == []
    hub = catalog.lookup(r.hub) if r.hub else r
    assert hub is not None
    stored = r.to_hub(obj) if r.to_hub else obj
    hub.defaults(stored)
    prepared = codec.copy(stored)
    hub.prepare_create(prepared, context())
    hub.defaults(prepared)
    assert hub.validate(prepared) == []
    assert hub.validate_update(codec.copy(prepared), prepared) == []
    row = table.render(r, [obj], NOW)["rows"][0]
    assert len(row["cells"]) == len(r.columns or "ab")
    for value in r.selectable.values():
        assert isinstance(value(obj), str)
    hub.warnings(stored)
