"""Every served resource against its golden (golden_files.py says what is in one): a real API server answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tests.api import golden_files as goldens

from kubewheel.api import catalog, errors, table
from kubewheel.api.resource import Resource
from kubewheel.apiserver.verbs import keys
from kubewheel.client.client import path_of
from kubewheel.client.transport import Request
from kubewheel.testing.cluster import Cluster, cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Groups whose every resource must have a file. What is listed here never leaves the list again.

@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Cluster]:
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
        yield c


# -- files --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("resource", catalog.RESOURCES, ids=lambda r: f"{r.qualified}-{r.version}")
async def test_there_is_a_golden(resource: Resource) -> None:
    golden = goldens.load(goldens.path_of(resource))
    wanted = {"discovery"}
    if "list" in resource.verbs:
        wanted.add("fieldSelectors")
    if not resource.not_stored:
        wanted |= {"table", "cases"} if "create" in resource.verbs else {"table"}
    assert wanted <= golden.keys()
    assert resource.not_stored or golden["table"]["rows"]


async def test_every_golden_is_of_a_served_resource() -> None:
    served = {goldens.path_of(r) for r in catalog.RESOURCES}
    assert [p for p in goldens.FOLDER.rglob("*") if p.is_file() and p not in served] == []


def _ids(value: Any) -> str | None:
    return value if isinstance(value, str) else None


FILES = [pytest.param(r, golden, id=f"{r.qualified}-{r.version}") for r, golden in goldens.ALL]


def entries(*path: str) -> list[Any]:
    return [pytest.param(r, golden, entry, id=name) for name, r, golden, entry in goldens.each(*path)]


# -- discovery, selectors, Tables -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("resource", "golden"), FILES)
async def test_discovery(running: Cluster, resource: Resource, golden: dict[str, Any]) -> None:
    where = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    served = orjson.loads((await running.client.raw("GET", where)).body or b"")["resources"]
    main = next(e for e in served if e["name"] == resource.plural)
    main.pop("storageVersionHash", None)
    subs = [{k: v for k, v in e.items() if k not in ("singularName", "namespaced")}
            for e in served if e["name"].startswith(resource.plural + "/")]
    wanted = dict(golden["discovery"])
    wanted_subs = wanted.pop("subresources", [])
    assert main == wanted
    assert sorted(subs, key=lambda e: e["name"]) == sorted(wanted_subs, key=lambda e: e["name"])


SELECTABLE = [param for param in FILES if "fieldSelectors" in param.values[1]]  # type: ignore[operator]


@pytest.mark.parametrize(("resource", "golden"), SELECTABLE)
async def test_field_selectors(running: Cluster, resource: Resource, golden: dict[str, Any]) -> None:
    selectors = golden["fieldSelectors"]
    namespace = "default" if resource.namespaced else None
    for label in selectors["supported"]:
        listed = await running.client.list(resource.gvr, namespace=namespace, field_selector=f"{label}=x")
        assert listed["kind"] == resource.list_kind, label
    spaced = resource.namespaced or resource.knows_meta_labels_only
    known = {"metadata.name", *resource.selectable, *(["metadata.namespace"] if spaced else [])}
    assert known == set(selectors["supported"])
    with pytest.raises(errors.StatusError) as refused:
        await running.client.list(resource.gvr, namespace=namespace, field_selector=selectors["unsupported"]["selector"])
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    assert refused.value.message == selectors["unsupported"]["message"]


TABLES = [param for param in FILES if "table" in param.values[1]]  # type: ignore[operator]


@pytest.mark.parametrize(("resource", "golden"), TABLES)
async def test_columns(resource: Resource, golden: dict[str, Any]) -> None:
    have = table.column_definitions(resource)
    wanted = [{"type": "string", "format": "", "priority": 0, **c} for c in golden["table"]["columns"]]
    assert [{k: v for k, v in c.items() if k != "description" or "description" in w}
            for c, w in zip(have, wanted, strict=True)] == wanted
    assert all(c["description"] or w.get("description") == "" for c, w in zip(have, wanted, strict=True))


@pytest.mark.parametrize(("resource", "golden", "row"), entries("table", "rows"))
async def test_cells(resource: Resource, golden: dict[str, Any], row: dict[str, Any]) -> None:
    obj = goldens.built(golden, resource, row["object"], None)
    made = table.render(resource, [obj], goldens.NOW)
    assert made["rows"][0]["cells"] == row["cells"]
    assert made["rows"][0].get("conditions") == row.get("conditions")


# -- writes ---------------------------------------------------------------------------------------------------------
class Answer:
    """What a write was answered: an object or a Status, and the warnings beside it."""

    def __init__(self, obj: dict[str, Any], code: int, warnings: list[str]) -> None:
        self.obj, self.code, self.warnings = obj, code, warnings

    def check(self, entry: dict[str, Any], key: str, sent: dict[str, Any]) -> None:
        if "errors" in entry:
            causes = (self.obj.get("details") or {}).get("causes") or []
            assert self.code == 422, self.obj
            found = [f"{c.get('field')}: {c['message']}" for c in causes]
            assert goldens.marked(found, entry["errors"]) == entry["errors"]
            texts = list(dict.fromkeys(found))
            group = self.obj["details"].get("group", "")
            what = self.obj["details"]["kind"] + (f".{group}" if group else "")
            listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            name = self.obj["details"].get("name", "")
            assert self.obj["message"] == f'{what} "{name}" is invalid: {listed}'
        elif "status" in entry:
            assert self.code >= 400, self.obj
            assert {k: self.obj.get(k) for k in entry["status"]} == entry["status"]
        else:
            assert self.code < 300, self.obj.get("message")
            if key in entry:
                wanted = goldens.expected(entry, key, sent)
                assert goldens.marked(goldens.compared(self.obj), wanted) == wanted
            for path, value in (entry.get("has") or {}).items():
                found = goldens.at(self.obj, path)
                assert goldens.marked(None if found is goldens.ABSENT else found, value) == value, path
        assert self.warnings == entry.get("warnings", [])


async def send(c: Cluster, method: str, path: str, obj: dict[str, Any], query: dict[str, Any] | None = None) -> Answer:
    response = await c.client.transport.send(Request(
        method=method, path=path, query={k: [str(v)] for k, v in (query or {}).items()}, body=orjson.dumps(obj),
        headers={"accept": "application/json", "content-type": "application/json"}))
    return Answer(orjson.loads(response.body or b"{}"), response.status, list(response.warnings))


async def create(c: Cluster, resource: Resource, obj: dict[str, Any], query: dict[str, Any] | None = None) -> Answer:
    return await send(c, "POST", path_of(resource.gvr, (obj.get("metadata") or {}).get("namespace")), obj, query)


@contextlib.asynccontextmanager
async def cleaned(c: Cluster, resource: Resource, made: list[dict[str, Any]]) -> AsyncIterator[None]:
    """What was made is gone again afterwards, whatever finalizers it has."""
    try:
        yield
    finally:
        for obj in made:
            namespace, name = obj["metadata"].get("namespace"), obj["metadata"]["name"]
            await c.client.delete(resource.gvr, name, namespace=namespace, grace=0)
            if (left := await c.client.find(resource.gvr, name, namespace=namespace)) is not None:
                hub = catalog.lookup(resource.hub) if resource.hub else resource
                assert hub is not None
                await c.server.store.delete(keys.key(hub, namespace or "", name),
                                            expected=int(left["metadata"]["resourceVersion"]))
                await c.wait_gone(resource.gvr, name, namespace=namespace)


@pytest.mark.parametrize(("resource", "golden", "case"), entries("cases"))
async def test_case(running: Cluster, resource: Resource, golden: dict[str, Any], case: dict[str, Any]) -> None:
    sent = goldens.built(golden, resource, case.get("object", case.get("of")), case.get("set"))
    answer = await create(running, resource, sent, case.get("query"))
    stored = answer.code == 201 and not resource.not_stored
    async with cleaned(running, resource, [answer.obj] if stored else []):
        answer.check(case, "defaulted", sent)


@pytest.mark.parametrize(("resource", "golden", "change"), entries("updates"))
async def test_update(running: Cluster, resource: Resource, golden: dict[str, Any], change: dict[str, Any]) -> None:
    first = await create(running, resource, goldens.built(golden, resource, change.get("from"), change.get("fromSet")))
    assert first.code == 201, first.obj.get("message")
    live = first.obj
    namespace, name = live["metadata"].get("namespace"), live["metadata"]["name"]
    async with cleaned(running, resource, [live]):
        where = path_of(resource.gvr, namespace, name)
        if "fromStatus" in change:
            told = await send(running, "PUT", where + "/status", {**live, "status": change["fromStatus"]})
            assert told.code == 200, told.obj.get("message")
            live = told.obj
        sent = goldens.built(golden, resource, change.get("to", live), change.get("set"))
        sent["metadata"].setdefault("resourceVersion", live["metadata"]["resourceVersion"])
        via = f"/{change['via']}" if "via" in change else ""
        answer = await send(running, "PUT", where + via, sent, change.get("query"))
        answer.check(change, "result", sent)
