"""What upstream's apiextensions-apiserver 0.36 was seen to answer, request for request, on custom resources.

`upstream_answers.jsonl` has a story a line: its requests, and of each answer the status, the warnings and what counts of the
body. Numbers of two and more digits stand as N, so that revisions are told apart from nothing. There are few JSON patches:
the server that was asked had been built with another library for those.
"""

import json
import re
from pathlib import Path

import pytest
from tests.apiserver.wire import send

from kubewheel.testing.plugin import with_cluster

ANSWERS = Path(__file__).parent / "upstream_answers.jsonl"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
DEFINITIONS = Path(__file__).parent / "upstream_definitions.json"  # of kinds with schemas, versions and scales of all sorts
PLURALS = (WIDGETS, "/apis/example.com/v1/gadgets", *(
    f"/apis/example.com/v1/namespaces/default/{plural}" for plural in ("plains", "merges", "multis", "odds")))
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MADE_UP = re.compile(r"([Gg]en[-_.]?(?:x{40,60})?)[bcdfghjklmnpqrstvwxz2-9]{5}(?![\w-])")


def definition(kind, plural, scope, versions, *, subresources=True):
    string, integer = {"type": "string"}, {"type": "integer"}
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "replicas": integer, "color": string, "sel": string, "list": {"type": "array", "items": string},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, "def": {"type": "string", "default": "x"},
            "positive": {"type": "integer", "minimum": 1}}},
        "status": {"type": "object", "properties": {"replicas": integer, "phase": string, "sel": string}}}}
    subs = {"subresources": {"status": {}, "scale": {
        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.sel"}}}
    served = [{"name": name, "served": True, "storage": name == versions[0], "schema": {"openAPIV3Schema": schema},
               "selectableFields": [{"jsonPath": ".spec.color"}], **(subs if subresources else {}),
               "additionalPrinterColumns": [
                   {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                   {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1}]} for name in versions]
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.example.com"}, "spec": {
                "group": "example.com", "scope": scope, "versions": served, "names": {
                    "kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List", "shortNames": [plural[:2]]}}}


async def define(cluster):
    crds = "customresourcedefinitions.apiextensions.k8s.io"
    for made in (definition("Widget", "widgets", "Namespaced", ("v1", "v1beta1")),
                 definition("Gadget", "gadgets", "Cluster", ("v1", "v1beta1")),
                 definition("Plain", "plains", "Namespaced", ("v1",), subresources=False), *json.loads(DEFINITIONS.read_text())):
        await cluster.client.create(crds, made)
        await cluster.wait_for(crds, made["metadata"]["name"], lambda d: any(
            c["type"] == "Established" and c["status"] == "True" for c in d.get("status", {}).get("conditions") or ()), namespace="")


async def clean(cluster, used):
    """`used`: the texts of the requests since the last time."""
    for url in (p for p in PLURALS if any(p in text or p == WIDGETS and text.partition(" ")[2][:1] == "W" for text in used)):
        for found in (await send(cluster, "GET", url)).json["items"]:
            one = f"{url}/{found['metadata']['name']}"
            if found["metadata"].get("finalizers"):
                await send(cluster, "PATCH", one, {"metadata": {"finalizers": None}}, content_type="application/merge-patch+json")
            await send(cluster, "DELETE", one)


def tidy(text):
    text = MADE_UP.sub(r"\1XXXXX", TIME.sub("TIME", UID.sub("UID", text)))
    return re.sub(r"\d{2,}", "N", text)


def named(obj):
    if obj.get("kind") == "Status":
        return tidy(obj.get("message", ""))
    if obj.get("kind") == "Table":
        return f"Table {obj['rows'][0]['cells'][0]}"
    return obj["metadata"].get("name") or "".join(obj["metadata"].get("annotations", ())) or "-"


def shown(obj):
    meta = obj.get("metadata", {})
    if obj.get("kind") == "Status":
        found = {"reason": obj.get("reason"), "message": tidy(obj["message"]) if "message" in obj else None}
        return {k: v for k, v in found.items() if v is not None}
    if "items" in obj:
        return {"items": [i["metadata"]["name"] for i in obj["items"]], "continue": bool(meta.get("continue")),
                "remaining": meta.get("remainingItemCount")}
    if obj.get("kind") == "Table":
        return {"rows": [r["cells"] for r in obj["rows"]]}
    return {"kind": obj.get("kind"), "name": tidy(meta.get("name", "")), "generation": meta.get("generation"),
            "deleting": "deletionTimestamp" in meta, "spec": obj.get("spec"), "status": obj.get("status"),
            "finalizers": meta.get("finalizers"), "labels": meta.get("labels")}


def managed(obj):
    """managedFields but for the times, which order them."""
    return sorted([tidy(e.get("manager", "")), e.get("operation", ""), e.get("subresource", ""), e.get("apiVersion", ""),
                   json.dumps(e.get("fieldsV1", {}), separators=(",", ":"))] for e in obj["metadata"].get("managedFields", ()))


async def body_of(answer, *, with_managed):
    if answer.chunks is None:
        try:
            obj = json.loads(answer.body)
        except ValueError:
            return None
        found = shown(obj)
        return found | {"managed": managed(obj)} if with_managed and "kind" in found else found
    events = b"".join([chunk async for chunk in answer.chunks]).splitlines()
    return [f"{e['type']} {named(e['object'])}" for e in map(json.loads, events)] or None


def filled(text, known):
    return re.sub(r"@(\w+)@", lambda m: str(known.get(m[1], m[0])), text)


async def told(cluster, steps):
    """What differs in one story."""
    known, wrong = {}, []
    for step in steps:
        method, _, url = step["do"].partition(" ")
        url = filled(WIDGETS + url[1:] if url.startswith("W") else url, known)
        headers = {"user-agent": "diff/1.0"} | {name.lower(): text for name, text in (step.get("headers") or {}).items()}
        body = step["raw"].encode("latin-1") if "raw" in step else None
        if "body" in step:
            body = filled(json.dumps(step["body"]), known).encode()
        kind = headers.pop("content-type", "application/json")
        answer = await send(cluster, method, url, body, content_type=kind or "", accept=headers.pop("accept", "application/json"),
                            **{name.replace("-", "_"): text for name, text in headers.items()})
        for name, path in step.get("save", {}).items():
            at = answer.json
            for part in path.split("."):
                at = at.get(part) or {}
            known[name] = at
        found = await body_of(answer, with_managed="managed" in (step.get("shown") or ()))
        warnings = [tidy('299 - "' + w.replace("\\", "\\\\").replace('"', '\\"') + '"') for w in answer.warnings]
        meant = step.get("warnings", [])
        if (answer.status, found, warnings) != (step["status"], step.get("shown"), meant):
            wrong.append((step["do"], step.get("body"), (step["status"], step.get("shown"), meant), (answer.status, found, warnings)))
    return wrong


def stories(area):
    return [s for s in map(json.loads, ANSWERS.read_text().splitlines()) if s["area"] == area]


@pytest.mark.parametrize("area", ["create", "read", "watch", "write", "delete", "http", "apply", "lifecycle", "list"])
@with_cluster(virtual_time=True, nodes=0, controllers="", scheduler=False)
async def test_answers_are_upstreams(cluster, area):
    await define(cluster)
    wrong, used = [], []
    for story in stories(area):
        if story.get("clean"):
            await clean(cluster, used)
            used.clear()
        used += [step["do"] for step in story["steps"]]
        wrong += [(story["name"], *found) for found in await told(cluster, story["steps"])]
    assert not wrong, f"{len(wrong)} differ: {wrong[:3]}"
