"""Every built-in resource, in every version it is served in, and a custom one beside them, held to the same machinery.

The objects are those of examples/; one server answers all of them. What is asked is what upstream's generic registry
and handlers promise of any resource; where a resource differs upstream, it is named here, with the reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from tests.api.test_catalog import EXAMPLES, STORED
from tests.apiserver.wire import Answer, account, send

from kubewheel.api import codec
from kubewheel.api.resource import Resource
from kubewheel.client.client import path_of
from kubewheel.testing.cluster import Cluster, cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata{};v=v1;g=meta.k8s.io"
# Of these there is one in every cluster by the name of the example, or the name says what the object is.
NAMES = {"IPAddress": "10.96.0.77", "Node": "swept", "Namespace": "swept", "ServiceAccount": "swept",
         "PriorityClass": "swept", "ServiceCIDR": "swept", "FlowSchema": "swept", "PriorityLevelConfiguration": "swept"}
# Names that are made of the object's own fields; a generated one would be refused.
NAMED_BY_CONTENT = {"IPAddress", "APIService", "CustomResourceDefinition"}
RETURNED = {"pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates", "resourcequotas"}
CUSTOM = {"apiVersion": "swept.example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 1}}


class Swept:
    """A resource, an object of it, and how to ask for it."""

    def __init__(self, c: Cluster, resource: Resource) -> None:
        self.c, self.resource = c, resource
        doc = CUSTOM if resource.custom is not None else next(
            d for d in EXAMPLES if (d["apiVersion"], d["kind"]) == (resource.api_version, resource.kind))
        self.obj: dict[str, Any] = codec.copy(doc)
        meta = self.obj["metadata"]
        for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "ownerReferences",
                      "finalizers"):
            meta.pop(field, None)
        meta["name"] = NAMES.get(resource.kind, meta["name"])
        meta["labels"] = {**(meta.get("labels") or {}), "swept": "no"}
        if resource.namespaced:
            meta["namespace"] = "default"
        if resource.qualified == "events":
            self.obj["involvedObject"]["namespace"] = "default"
        elif resource.qualified == "services":  # addresses and ports are taken before the name is looked at
            self.obj["spec"] = {"selector": {"app": "a"}, "ports": [{"port": 80}]}
        self.base = path_of(resource.gvr, "default" if resource.namespaced else None)
        self.url = f"{self.base}/{meta['name']}"

    async def __aenter__(self) -> Swept:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing stays, whatever holds it."""
        listed = (await send(self.c, "GET", self.base + "?labelSelector=swept")).json
        for item in listed["items"]:
            url = f"{self.base}/{item['metadata']['name']}"
            await send(self.c, "DELETE", url, {"gracePeriodSeconds": 0})
            left = await send(self.c, "GET", url)
            if left.status == 200 and self.resource.qualified == "namespaces":
                await send(self.c, "PUT", url + "/finalize", {**left.json, "spec": {"finalizers": []}})
            elif left.status == 200:
                await send(self.c, "PATCH", url, {"metadata": {"finalizers": None}}, content_type=MERGE)

    async def create(self, query: str = "", **meta: Any) -> Answer:
        return await send(self.c, "POST", self.base + query, {**self.obj, "metadata": {**self.obj["metadata"], **meta}})

    async def made(self) -> dict[str, Any]:
        answer = await self.create()
        assert answer.status == 201, answer.body
        return answer.json

    async def read(self) -> dict[str, Any]:
        answer = await send(self.c, "GET", self.url)
        assert answer.status == 200, answer.body
        return answer.json

    async def patch(self, body: Any, kind: str = MERGE, query: str = "", below: str = "") -> Answer:
        return await send(self.c, "PATCH", self.url + below + query, body, content_type=kind)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Cluster]:
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await account(c)
        spec = {"type": "object", "properties": {"size": {"type": "integer"}, "name": {"type": "string"}}}
        await c.client.create("customresourcedefinitions.apiextensions.k8s.io", {
            "metadata": {"name": "things.swept.example.com"},
            "spec": {"group": "swept.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                     "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                                   "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                                       "spec": spec, "status": {"type": "object", "properties": {
                                           "phase": {"type": "string"}}}}}}}]}})
        await c.wait_for("customresourcedefinitions.apiextensions.k8s.io", "things.swept.example.com", namespace=None,
                         condition=lambda d: any(x["type"] == "Established" for x in (d.get("status") or {}).get("conditions") or ()))
        yield c


STORED_HERE = [r for r in STORED if "create" in r.verbs]
EACH = pytest.mark.parametrize("which", [*STORED_HERE, None],
                               ids=lambda r: f"{r.qualified}-{r.version}" if r is not None else "custom")


def swept(c: Cluster, which: Resource | None) -> Swept:
    return Swept(c, which or next(r for r in c.server.registry.all() if r.group == "swept.example.com"))


@EACH
async def test_a_life(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        start = (await send(running, "GET", s.base)).json["metadata"]["resourceVersion"]
        watch = await send(running, "GET", f"{s.base}?watch=1&labelSelector=swept&resourceVersion={start}&timeoutSeconds=30")
        made = await s.made()
        assert (made["kind"], made["apiVersion"]) == (s.resource.kind, s.resource.api_version)
        assert await s.read() == made
        listed = (await send(running, "GET", s.base + "?labelSelector=swept")).json
        assert (listed["kind"], listed["apiVersion"]) == (s.resource.list_kind, s.resource.api_version)
        bare = made if s.resource.custom else {k: v for k, v in made.items() if k not in ("kind", "apiVersion")}
        assert listed["items"] == [bare]
        await seen_in_other_forms(s, made)
        changes = await labelled(s)
        removed = await send(running, "DELETE", s.url, {"gracePeriodSeconds": 0})
        assert removed.status == 200
        left = await send(running, "GET", s.url)
        if left.status == 200:
            assert removed.json == left.json and left.json["metadata"]["deletionTimestamp"]
            assert left.json["metadata"].get("finalizers") or s.resource.kind == "Namespace"
            changes.append("MODIFIED")
        elif s.resource.group == "" and s.resource.plural in RETURNED:
            assert removed.json["metadata"]["uid"] == made["metadata"]["uid"]
            if s.resource.plural == "pods":  # marked first, whatever its grace
                changes.append("MODIFIED")
            changes.append("DELETED")
        else:
            details = {"name": made["metadata"]["name"], "group": s.resource.group, "kind": s.resource.plural,
                       "uid": made["metadata"]["uid"]}
            assert removed.json == {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                                    "details": {k: v for k, v in details.items() if v}}
            changes.append("DELETED")
        events = await watch.lines(1 + len(changes), keep=ours())
        assert [e["type"] for e in events] == ["ADDED", *changes]
        assert events[0]["object"] == made


def ours() -> Callable[[dict[str, Any]], bool]:
    """Leaves out what the server writes of its own accord, whenever it does: conditions of definitions and API services."""
    last: list[Any] = [None]

    def keep(event: dict[str, Any]) -> bool:
        meta = event["object"]["metadata"]
        state = meta["labels"], meta.get("deletionTimestamp")
        is_same, last[0] = state == last[0], state
        return event["type"] != "MODIFIED" or not is_same

    return keep


async def seen_in_other_forms(s: Swept, made: dict[str, Any]) -> None:
    table = (await send(s.c, "GET", s.url, accept=TABLE)).json
    assert (table["kind"], len(table["rows"])) == ("Table", 1)
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    one = (await send(s.c, "GET", s.url, accept=PARTIAL.format(""))).json
    assert one == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    many = (await send(s.c, "GET", s.base + "?labelSelector=swept", accept=PARTIAL.format("List"))).json
    assert (many["kind"], many["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [i["metadata"] for i in many["items"]] == [made["metadata"]]


async def labelled(s: Swept) -> list[str]:
    """Patched three ways and written back as it was read; what a watch sees of it."""
    changes = []
    for value, kind, body in (("json", JSON, [{"op": "replace", "path": "/metadata/labels/swept", "value": "json"}]),
                              ("merge", MERGE, {"metadata": {"labels": {"swept": "merge"}}}),
                              ("strategic", STRATEGIC, {"metadata": {"labels": {"swept": "strategic"}}})):
        answer = await s.patch(body, kind)
        if kind == STRATEGIC and s.resource.custom is not None:
            assert answer.status == 415
            assert answer.json["message"] == (
                "the body of the request was in an unknown format - accepted media types include: "
                f"{JSON}, {MERGE}, {APPLY}")
            continue
        assert answer.status == 200, answer.body
        assert answer.json["metadata"]["labels"]["swept"] == value
        again = await s.patch(body, kind)
        assert again.json["metadata"]["resourceVersion"] == answer.json["metadata"]["resourceVersion"]
        changes.append("MODIFIED")
    read = await s.read()
    written = await send(s.c, "PUT", s.url, read)
    assert (written.status, written.json) == (200, read)
    return changes


@EACH
async def test_apply(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        first = await s.patch(s.obj, APPLY, "?fieldManager=one")
        assert first.status == 201, first.body
        second = await s.patch(s.obj, APPLY, "?fieldManager=one")
        assert (second.status, second.json) == (200, first.json)
        entries = [e for e in first.json["metadata"]["managedFields"] if e["manager"] == "one"]
        assert [(e["operation"], e["apiVersion"]) for e in entries] == [("Apply", s.resource.api_version)]
        owned = entries[0]["fieldsV1"]
        assert set(owned["f:metadata"]) <= {"f:labels", "f:annotations", "f:namespace"}
        assert "f:swept" in owned["f:metadata"]["f:labels"]
        assert set(owned) - {"f:metadata"} == {f"f:{k}" for k in s.obj if k not in ("apiVersion", "kind", "metadata", "status")}
        other = {"apiVersion": s.obj["apiVersion"], "kind": s.obj["kind"],
                 "metadata": {"name": s.obj["metadata"]["name"], "labels": {"swept": "two"}}}
        refused = await s.patch(other, APPLY, "?fieldManager=two")
        assert refused.status == 409
        assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .metadata.labels.swept'
        assert refused.json["details"]["causes"] == [
            {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".metadata.labels.swept"}]
        taken = await s.patch(other, APPLY, "?fieldManager=two&force=true")
        assert taken.status == 200 and taken.json["metadata"]["labels"]["swept"] == "two"
        shrunk = await s.patch({**other, "metadata": {"name": s.obj["metadata"]["name"]}}, APPLY, "?fieldManager=two")
        assert "swept" not in (shrunk.json["metadata"].get("labels") or {})
        assert (await s.patch({"metadata": {"labels": {"swept": "no"}}})).status == 200


@EACH
async def test_what_does_not_fit(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        kind, version = s.resource.kind, s.resource.version
        odd = {**s.obj, "nothing": 1}
        strict = await send(running, "POST", s.base + "?fieldValidation=Strict", odd)
        assert (strict.status, strict.json["message"]) == (
            400, f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: unknown field "nothing"')
        warned = await send(running, "POST", s.base + "?dryRun=All&fieldValidation=Warn", odd)
        assert warned.status == 201 and 'unknown field "nothing"' in warned.warnings, (warned.body, warned.warnings)
        ignored = await send(running, "POST", s.base + "?dryRun=All&fieldValidation=Ignore", odd)
        assert ignored.status == 201 and not any("nothing" in w for w in ignored.warnings)
        assert "nothing" not in ignored.json
        wrong = await send(running, "POST", s.base, {**s.obj, "metadata": {**s.obj["metadata"], "labels": {"a": 1}}})
        assert wrong.status == 400 and wrong.json["reason"] == "BadRequest"
        assert wrong.json["message"] == (
            f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.metadata.labels of type string") or s.resource.custom is not None
        scheme = "pkg/api/legacyscheme/scheme.go:30"
        if s.resource.group == "apiextensions.k8s.io":  # its server has one of its own
            scheme = "pkg/apiserver/apiserver.go:55"
        assert await told(s, apiVersion="example.com/v0") == (
            400, f"the API version in the data (example.com/v0) does not match the expected API version ({s.resource.api_version})"
            if s.resource.custom is not None else
            f'{kind} in version "v0" cannot be handled as a {kind}: no kind "{kind}" is registered for version "example.com/v0" '
            f'in scheme "{scheme}"')
        unnamed = [await told(s, kind=None), await told(s, apiVersion=None)]
        if s.resource.custom is not None:
            assert await told(s, kind="Foo") == (
                422, 'Foo.swept.example.com "a" is invalid: kind: Invalid value: "Foo": must be Thing')
            assert [code for code, _ in unnamed] == [400, 400]
            assert unnamed[0][1].startswith("the object provided is unrecognized (must be of type Thing): Object 'Kind' is missing in '{")
            assert unnamed[1][1] == "the API version in the data () does not match the expected API version (swept.example.com/v1)"
            return
        assert [code for code, _ in unnamed] == [201, 201]
        assert await told(s, kind="Foo") == (
            400, f'Foo in version "{version}" cannot be handled as a {kind}: no kind "Foo" is registered for version '
            f'"{s.resource.api_version}" in scheme "{scheme}"')
        other = "Pod" if kind != "Pod" else "Secret"
        code, message = await told(s, apiVersion="v1", kind=other)
        assert code == 400 and message.startswith(
            f'{other} in version "v1" cannot be handled as a {kind}: converting (v1.{other}) to (')
        assert message.endswith(f".{kind}): unknown conversion")


async def told(s: Swept, **changes: str | None) -> tuple[int, str]:
    """The code and the message of creating the object with its type changed or (None) left out."""
    changed = {k: v for k, v in {**s.obj, **changes}.items() if v is not None}
    answer = await send(s.c, "POST", s.base + "?dryRun=All", changed)
    return answer.status, answer.json.get("message", "") if answer.status >= 300 else ""


@EACH
async def test_the_other_scope(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        wrong = path_of(s.resource.gvr, None if s.resource.namespaced else "default")
        answers = {(m, tail): await send(running, m, wrong + tail, s.obj if m in ("POST", "PUT") else None)
                   for m, tail in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"))}
        for (method, tail), answer in answers.items():
            if s.resource.namespaced and method == "GET" and not tail:
                assert answer.json["kind"] == s.resource.list_kind
            elif s.resource.custom is not None:  # has no routes of its own
                assert (answer.status, answer.body) == (404, b"404 page not found\n")
            elif s.resource.namespaced and not tail:  # a route for reading all namespaces, and for nothing else
                assert (answer.status, answer.json["reason"], answer.json["message"]) == (
                    405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            else:
                assert (answer.status, answer.json["reason"], answer.json["message"]) == (
                    404, "NotFound", "the server could not find the requested resource")


@EACH
async def test_dry_runs_change_nothing(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        tried = await s.create("?dryRun=All")
        assert tried.status == 201 and tried.json["metadata"]["uid"]
        assert "resourceVersion" not in tried.json["metadata"]
        assert (await send(running, "GET", s.url)).status == 404
        applied = await s.patch(s.obj, APPLY, "?fieldManager=one&dryRun=All")
        assert applied.status == 201 and (await send(running, "GET", s.url)).status == 404
        made = await s.made()
        again = await s.create("?dryRun=All")
        assert (again.status, again.json["reason"]) == (409, "AlreadyExists")
        assert again.json["message"] == f'{s.resource.qualified} "{made["metadata"]["name"]}" already exists'
        labels = {"metadata": {"labels": {"swept": "dry"}}}
        patched = await s.patch(labels, MERGE, "?dryRun=All")
        assert patched.json["metadata"]["labels"]["swept"] == "dry"
        put = await send(running, "PUT", s.url + "?dryRun=All", patched.json)
        assert put.status == 200 and put.json["metadata"]["labels"]["swept"] == "dry"
        assert (await send(running, "DELETE", s.url + "?dryRun=All")).status == 200
        assert (await send(running, "DELETE", s.base + "?dryRun=All&labelSelector=swept")).status in (200, 405)
        assert await s.read() == made


@EACH
async def test_writes_that_come_late(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        made = await s.made()
        name = made["metadata"]["name"]
        assert (await s.patch({"metadata": {"labels": {"swept": "newer"}}})).status == 200
        late = await send(running, "PUT", s.url, {**made, "metadata": {**made["metadata"], "labels": {"swept": "late"}}})
        assert (late.status, late.json["reason"]) == (409, "Conflict")
        assert late.json["message"] == (
            f'Operation cannot be fulfilled on {s.resource.qualified} "{name}": the object has been modified; '
            "please apply your changes to the latest version and try again")
        assert late.json["details"] == {k: v for k, v in (
            ("name", name), ("group", s.resource.group), ("kind", s.resource.plural)) if v}
        patched = await s.patch({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}})
        assert patched.status == 409
        gone = await send(running, "DELETE", s.url, {"preconditions": {"uid": "other"}})
        assert gone.status == 409
        other = await send(running, "PUT", s.url, {**s.obj, "metadata": {**s.obj["metadata"], "name": "another"}})
        assert (other.status, other.json["message"]) == (
            400, f"the name of the object (another) does not match the name on the URL ({name})")


@EACH
async def test_a_collection_is_removed_by_its_labels(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        made = await s.made()
        if "deletecollection" not in s.resource.verbs:
            assert (await send(running, "DELETE", s.base + "?labelSelector=swept")).status == 405
            return
        kept = await send(running, "DELETE", s.base + "?labelSelector=swept%3Dyes")
        assert kept.status == 200 and kept.json["items"] == [] and kept.json["kind"] == s.resource.list_kind
        assert await s.read() == made
        removed = await send(running, "DELETE", s.base + "?labelSelector=swept%3Dno", {"gracePeriodSeconds": 0})
        assert [i["metadata"]["uid"] for i in removed.json["items"]] == [made["metadata"]["uid"]]
        left = await send(running, "GET", s.url)
        assert left.status == 404 or left.json["metadata"]["deletionTimestamp"]


@EACH
async def test_generated_names(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        meta = {k: v for k, v in s.obj["metadata"].items() if k != "name"}
        answer = await send(running, "POST", s.base, {**s.obj, "metadata": {**meta, "generateName": "swept-"}})
        if s.resource.kind in NAMED_BY_CONTENT:
            assert answer.status == 422
            return
        assert answer.status == 201, answer.body
        assert answer.json["metadata"]["generateName"] == "swept-"
        assert answer.json["metadata"]["name"].startswith("swept-") and len(answer.json["metadata"]["name"]) == 11


WITH_STATUS = pytest.mark.parametrize(
    "which", [r for r in STORED_HERE if r.subresource("status") is not None] + [None],
    ids=lambda r: f"{r.qualified}-{r.version}" if r is not None else "custom")


@WITH_STATUS
async def test_status_and_the_rest_are_written_apart(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        made = await s.made()
        answer = await s.patch({"spec": None, "metadata": {"annotations": {"a": "b"}}}, below="/status")
        assert answer.status == 200, answer.body
        assert answer.json.get("spec") == made.get("spec")
        assert answer.json["metadata"].get("generation") == made["metadata"].get("generation")
        kept = await s.patch({"status": None})
        assert kept.status == 200 and kept.json.get("status") == answer.json.get("status")


@EACH
async def test_owners_given_twice_are_kept_once(running: Cluster, which: Resource | None) -> None:
    async with swept(running, which) as s:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u-1"}
        told = (".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may "
                "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u-1")
        answer = await s.create(ownerReferences=[owner, owner, {**owner, "name": "p"}])
        assert answer.status == 201 and told.format("") in answer.warnings
        assert answer.json["metadata"]["ownerReferences"] == [owner, {**owner, "name": "p"}]
        patched = await s.patch({"metadata": {"ownerReferences": [owner, owner]}})
        assert told.format(" after mutating admission happens") in patched.warnings
        assert patched.json["metadata"]["ownerReferences"] == [owner]
