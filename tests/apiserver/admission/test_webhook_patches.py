"""What a webhook's patch may do to a custom resource, and what becomes of the rest: as upstream's apiextensions-apiserver
0.36 answers to a creation, an update of the resource and one of its status."""

import asyncio

import pytest
from tests.apiserver import hook_server
from tests.apiserver.hook_server import configuration, patched

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.api.resource import Gvr

THINGS = Gvr("w.example.com", "v1", "things")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
HOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.w.example.com"},
       "spec": {"group": "w.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
           "name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
               "type": "object", "properties": {part: {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                                                for part in ("spec", "status")}}}}]}}
RULES = [{"apiGroups": ["w.example.com"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*/*"]}]
OTHER = "{}, Kind=Thing is unstructured and is not suitable for converting to \"w.example.com/v1\""
IMMUTABLE = 'Thing.w.example.com "x" is invalid: metadata.{}: Invalid value: {}: field is immutable'
CONFLICT = ('Operation cannot be fulfilled on things.w.example.com "x": the object has been modified; please apply your changes '
            "to the latest version and try again")
NAMELESS = 'Thing.w.example.com "" is invalid: metadata.name: Required value: name or generateName is required'
UNPINNED = 'things.w.example.com "x" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
KIND = ("Internal error occurred: couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field "
        ".kind of type string")
ROOT = ("Internal error occurred: couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type "
        'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }')
SAME: dict = {}  # as if the webhook had said nothing


def add(path, value):
    return {"op": "add", "path": path, "value": value}


PATCHES = [  # (operation, of a creation, of an update, of an update of the status): what differs afterwards, or what is said
    (add("/metadata/labels", {"a": "b"}), {"labels": {"a": "b"}}, {"labels": {"a": "b"}}, SAME),
    (add("/metadata/labels", {"a": 1}), {"labels": None}, {"labels": None}, SAME),
    (add("/metadata/finalizers", "x"), SAME, SAME, SAME),
    (add("/metadata/finalizers", ["a.b/c"]), {"finalizers": ["a.b/c"]}, {"finalizers": ["a.b/c"]}, SAME),
    (add("/metadata/creationTimestamp", "x"), SAME, SAME, SAME),
    (add("/metadata/creationTimestamp", "2020-01-01T00:00:00Z"), SAME, SAME, SAME),
    (add("/metadata/deletionTimestamp", "2020-01-01T00:00:00Z"), None,
     IMMUTABLE.format("deletionTimestamp", '"2020-01-01T00:00:00Z"'), SAME),
    (add("/metadata/uid", "u"), SAME, IMMUTABLE.format("uid", '"u"'), SAME),
    (add("/metadata/uid", ""), SAME, SAME, SAME),
    (add("/metadata/generation", 99), SAME, SAME, SAME),
    (add("/metadata/selfLink", "x"), SAME, SAME, SAME),
    (add("/metadata/resourceVersion", "99999999"), None, CONFLICT, CONFLICT),
    (add("/metadata/namespace", ""), SAME, SAME, SAME),
    (add("/metadata/namespace", "other"), NAMESPACE, NAMESPACE, NAMESPACE),
    (add("/metadata/name", 1), NAMELESS, None, SAME),
    (add("/metadata/name", "other"), None, 'Thing.w.example.com "other" is invalid: metadata.name: Invalid value: "other": field '
     "is immutable", SAME),
    ({"op": "remove", "path": "/metadata"}, NAMELESS, UNPINNED, UNPINNED),
    (add("/apiVersion", "x"), OTHER.format("/x"), OTHER.format("/x"), OTHER.format("/x")),
    (add("/apiVersion", "other/v1"), OTHER.format("other/v1"), OTHER.format("other/v1"), OTHER.format("other/v1")),
    (add("/kind", 1), KIND, KIND, KIND),
    ({"op": "replace", "path": "", "value": []}, ROOT, ROOT, ROOT),
    ({"op": "replace", "path": "", "value": "x"}, SAME, SAME, SAME),
    (add("/spec/b", "2"), {"spec": {"a": "1", "b": "2"}}, {"spec": {"a": "1", "b": "2"}}, SAME),
    (add("/status", {"b": "2"}), SAME, SAME, {"status": {"b": "2"}}),
]
KEPT = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "finalizers", "labels", "selfLink")


def shape(obj):
    """What must not differ between one dry run and the next."""
    meta = obj["metadata"]
    made = {"uid": bool(meta["uid"]), "creationTimestamp": meta["creationTimestamp"][:2]} if meta["name"] == "y" else {}
    return {k: meta.get(k) for k in KEPT} | made | {k: obj.get(k) for k in ("spec", "status")}


@pytest.fixture
def thing():
    return {"apiVersion": "w.example.com/v1", "kind": "Thing", "metadata": {
        "name": "x", "namespace": "default", "labels": {"l": "1"}}, "spec": {"a": "1"}}


async def outcome(work):
    try:
        return shape(await work())
    except errors.StatusError as e:
        return e.message


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_patches(cluster, tmp_path, thing):
    client, answer = cluster.client, {"allowed": False}
    await client.create(CRDS, CRD)
    await cluster.wait_for(CRDS, CRD["metadata"]["name"], lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)
    live = await client.create(THINGS, thing)
    written = {**live, "status": {"a": "1"}}
    new = {**thing, "metadata": {**thing["metadata"], "name": "y"}}
    works = [lambda: client.create(THINGS, new, dryRun="All"),
             lambda: client.update(THINGS, {**live, "metadata": {**live["metadata"], "annotations": {"n": "1"}}}, dryRun="All"),
             lambda: client.update(THINGS, written, subresource="status", dryRun="All")]
    plain = [await outcome(work) for work in works]
    async with hook_server.serving(tmp_path, lambda _: answer) as config:
        await client.create(HOOKS, configuration("h", config, mutating=True, rules=RULES))
        async with asyncio.timeout(5):
            while not isinstance(await outcome(works[1]), str):  # noqa: ASYNC110 - the server's own cache is a moment behind
                await asyncio.sleep(0.01)
        for operation, *expected in PATCHES:
            answer = patched(operation)
            for work, before, wanted in zip(works, plain, expected, strict=True):
                if wanted is not None:
                    assert await outcome(work) == (before | wanted if isinstance(wanted, dict) else wanted), operation
        answer = patched(add("/metadata/resourceVersion", "99999999"))  # told by the storage, which a dry run does not ask
        assert await outcome(lambda: client.create(THINGS, new)) == "resourceVersion should not be set on objects to be created"


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_a_scale_has_no_labels_to_be_selected_by(cluster, tmp_path):
    client, asked = cluster.client, []
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "default", "labels": {"l": "1"}},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
                "containers": [{"name": "c", "image": "i"}]}}}}
    await client.create("deployments.apps", made)

    def admit(request):
        asked.append(request["userInfo"]["username"])
        return {"allowed": False, "status": {"message": "no"}}

    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments/scale"]}]
    async with hook_server.serving(tmp_path, admit) as config:
        for name, selector in (("by-label", {"matchLabels": {"l": "1"}}),
                               ("without", {"matchExpressions": [{"key": "l", "operator": "DoesNotExist"}]})):
            await client.create(HOOKS, configuration(name, config, mutating=True, rules=rules, hook={"objectSelector": selector}))
        async with asyncio.timeout(5):
            while True:
                try:
                    await client.patch("deployments.apps", "d", {"spec": {"replicas": 2}}, namespace="default", subresource="scale")
                except errors.StatusError as e:
                    assert e.message == 'admission webhook "without.example.com" denied the request: no'
                    break
                await asyncio.sleep(0.01)
    assert len(asked) == 1
