"""Admission webhooks in a server, as conformance tries them: who is asked, what they may change, what happens without them."""

import asyncio
import json

import pytest
from tests.apiserver import hook_server
from tests.apiserver.hook_server import configuration, denied, patched, rule

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.api.resource import Gvr

bare = testing.with_cluster(nodes=0, controllers="", scheduler=False)
GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = f"mutatingwebhookconfigurations.{GROUP}", f"validatingwebhookconfigurations.{GROUP}"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
THINGS = Gvr("w.example.com", "v1", "things")
THINGS2 = Gvr("w.example.com", "v2", "things")


def configmap(name, namespace="default", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}


async def account(client):
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})


def thing(name, api="w.example.com/v1", **data):
    return {"apiVersion": api, "kind": "Thing", "metadata": {"name": name, "namespace": "default"}, "data": data}


def crd(*versions, conversion=None, fields=None, name="things"):
    data = ({"type": "object", "properties": fields} if fields else
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"data": data}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{name}.w.example.com"}, "spec": {
                "group": "w.example.com", "scope": "Namespaced", "names": {"plural": name, "kind": name[:-1].title()},
                "versions": [{"name": v, "served": True, "storage": i == 0, "schema": schema}
                             for i, v in enumerate(versions or ("v1",))],
                **({"conversion": conversion} if conversion else {})}}


async def established(cluster, definition):
    await cluster.client.create(CRDS, definition)
    await cluster.wait_for(CRDS, definition["metadata"]["name"], lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)


async def eventually(work, seconds=5):
    """The server's own cache of configurations is a moment behind: work() is tried until it is true."""
    async with asyncio.timeout(seconds):
        while not (found := await work()):
            await asyncio.sleep(0.01)
    return found


async def dry(client, obj, resource="configmaps"):
    """(the object as it would be, None) or (None, the refusal)."""
    try:
        return await client.create(resource, obj, dryRun="All"), None
    except errors.StatusError as e:
        return None, e


async def until_denied(client, obj, resource="configmaps"):
    return await eventually(lambda: _refusal(client, obj, resource))


async def _refusal(client, obj, resource):
    return (await dry(client, obj, resource))[1]


async def until_admitted(client, obj, resource="configmaps"):
    return await eventually(lambda: _admitted(client, obj, resource))


async def _admitted(client, obj, resource):
    return (await dry(client, obj, resource))[0]


def adding(key, when=None):
    def admit(request):
        data = request["object"].get("data") or {}
        return patched({"op": "add", "path": f"/data/{key}", "value": "yes"}) if when is None or when in data else {}

    return admit


@bare
async def test_lists_of_configurations_come_and_go(cluster, tmp_path):
    client = cluster.client
    async with hook_server.serving(tmp_path, adding("hooked")) as config:
        for i in range(10):
            await client.create(MUTATING, configuration(f"m{i}", config, mutating=True, rules=[rule("configmaps")],
                                                        labels={"mine": "yes"}))
        assert len((await client.list(MUTATING, label_selector="mine=yes"))["items"]) == 10
        await eventually(lambda: _has(client, configmap("a", x="1"), "hooked"))
        await client.delete_collection(MUTATING, label_selector="mine=yes")
        assert not (await client.list(MUTATING))["items"]
        await eventually(lambda: _lacks(client, configmap("b", x="1"), "hooked"))
    async with hook_server.serving(tmp_path, lambda r: denied("no")) as config:
        for i in range(10):
            await client.create(VALIDATING, configuration(f"v{i}", config, rules=[rule("configmaps")], labels={"mine": "yes"}))
        assert len((await client.list(VALIDATING, label_selector="mine=yes"))["items"]) == 10
        e = await until_denied(client, configmap("c"))
        assert (e.code, e.message) == (400, 'admission webhook "v0.example.com" denied the request: no')
        await client.delete_collection(VALIDATING, label_selector="mine=yes")
        await until_admitted(client, configmap("c"))


async def _has(client, obj, key):
    return key in (await client.create("configmaps", obj, dryRun="All"))["data"]


async def _lacks(client, obj, key):
    return not await _has(client, obj, key)


@bare
async def test_updates_of_a_configuration_are_heeded(cluster, tmp_path):
    client = cluster.client
    create, update = [rule("configmaps")], [rule("configmaps", "UPDATE")]
    async with hook_server.serving(tmp_path, adding("hooked")) as config:
        made = await client.create(MUTATING, configuration("m", config, mutating=True, rules=create))
        await eventually(lambda: _has(client, configmap("a", x="1"), "hooked"))
        made["webhooks"][0]["rules"] = update
        made = await client.update(MUTATING, made)
        await eventually(lambda: _lacks(client, configmap("a", x="1"), "hooked"))
        await client.patch(MUTATING, "m", [{"op": "replace", "path": "/webhooks/0/rules", "value": create}],
                           type="application/json-patch+json")
        await eventually(lambda: _has(client, configmap("a", x="1"), "hooked"))
        await client.delete(MUTATING, "m")
    async with hook_server.serving(tmp_path, lambda r: denied("no", code=403, reason="Forbidden")) as config:
        made = await client.create(VALIDATING, configuration("v", config, rules=create))
        e = await until_denied(client, configmap("a"))
        assert (e.code, e.reason) == (403, "Forbidden")
        await client.update(VALIDATING, {**made, "webhooks": [{**made["webhooks"][0], "rules": update}]})
        await until_admitted(client, configmap("a"))
        await client.patch(VALIDATING, "v", [{"op": "replace", "path": "/webhooks/0/rules", "value": create}],
                           type="application/json-patch+json")
        await until_denied(client, configmap("a"))


@pytest.mark.parametrize("mutating", [True, False])
@bare
async def test_match_conditions(cluster, tmp_path, mutating):
    client, plural = cluster.client, MUTATING if mutating else VALIDATING

    def hook(expression):
        return {"matchConditions": [{"name": "expected", "expression": expression}]}

    async with hook_server.serving(tmp_path, lambda r: adding("hooked")(r) if mutating else denied("no")) as config:
        made = await client.create(plural, configuration("c", config, mutating=mutating, rules=[rule("configmaps")],
                                                         hook=hook("object.metadata.name != 'skip-me'")))
        assert made["webhooks"][0]["matchConditions"][0]["expression"] == "object.metadata.name != 'skip-me'"
        if mutating:
            await eventually(lambda: _has(client, configmap("a", x="1"), "hooked"))
            assert not await _has(client, configmap("skip-me", x="1"), "hooked")
        else:
            await until_denied(client, configmap("a"))
            assert (await dry(client, configmap("skip-me")))[0]
        made["webhooks"][0]["matchConditions"].append({"name": "second", "expression": "true"})
        await client.update(plural, made)
        assert len((await client.get(plural, "c"))["webhooks"][0]["matchConditions"]) == 2
        with pytest.raises(errors.StatusError, match="compilation failed"):
            await client.create(plural, configuration("bad", config, mutating=mutating, rules=[rule("configmaps")],
                                                      hook=hook("... [] bad expression")))


@bare
async def test_denials(cluster, tmp_path):
    client = cluster.client
    await account(client)
    await client.create("namespaces", {"metadata": {"name": "free", "labels": {"skip": "yes"}}})

    async def judge(request):
        obj = request["object"]
        if obj["metadata"]["name"] == "hangs":
            await asyncio.sleep(30)
        bad = (obj.get("data") or {}).get("webhook") == "disallow" or obj["metadata"]["name"] == "bad"
        return denied("the object contains unwanted things") if bad else {}

    async with hook_server.serving(tmp_path, judge) as config:
        both = [rule("configmaps", "CREATE", "UPDATE"), rule("pods", "CREATE", "UPDATE")]
        await client.create(VALIDATING, configuration("v", config, rules=both, hook={
            "timeoutSeconds": 1, "namespaceSelector": {"matchExpressions": [{"key": "skip", "operator": "NotIn",
                                                                             "values": ["yes"]}]}}))
        await until_denied(client, configmap("x", webhook="disallow"))
        e = await until_denied(client, pod("bad"), "pods")
        assert e.message == 'admission webhook "v.example.com" denied the request: the object contains unwanted things'
        e = (await dry(client, pod("hangs"), "pods"))[1]
        assert e.code == 500 and "context deadline exceeded" in e.message
        await client.create("configmaps", configmap("fine", a="1"))
        with pytest.raises(errors.StatusError, match="unwanted"):
            await client.update("configmaps", {**await client.get("configmaps", "fine", namespace="default"),
                                               "data": {"webhook": "disallow"}})
        with pytest.raises(errors.StatusError, match="unwanted"):
            await client.patch("configmaps", "fine", {"data": {"webhook": "disallow"}}, namespace="default")
        await client.create("configmaps", configmap("x", "free", webhook="disallow"))


@bare
async def test_attach_is_denied(cluster, tmp_path):
    client = cluster.client
    await account(client)
    await client.create("pods", pod("p"))
    async with hook_server.serving(tmp_path, lambda r: denied(f"no {r['subResource']}")) as config:
        await client.create(VALIDATING, configuration("v", config, rules=[rule("pods/attach", "CONNECT")]))

        async def attached():
            with pytest.raises(errors.StatusError) as e:
                await client.raw("POST", "/api/v1/namespaces/default/pods/p/attach", query={"container": "c", "stdout": "true"})
            return "denied the request: no attach" in e.value.message

        await eventually(attached)


@bare
async def test_custom_resources_and_their_definitions(cluster, tmp_path):
    client = cluster.client
    await established(cluster, crd())

    def judge(request):
        if request["kind"]["kind"] == "CustomResourceDefinition":
            return denied("no definitions")
        old = request["oldObject"] or {}
        bad = "bad" in ((request["object"] or {}).get("data") or {}) or (
            request["operation"] == "DELETE" and "kept" in (old.get("data") or {}))
        return denied(f"no {request['operation']}") if bad else {}

    async with hook_server.serving(tmp_path, judge) as config:
        await client.create(VALIDATING, configuration("v", config, rules=[
            rule("things", "CREATE", "UPDATE", "DELETE", group="w.example.com"),
            rule("customresourcedefinitions", group="apiextensions.k8s.io")]))
        e = await until_denied(client, thing("a", bad="1"), THINGS)
        assert e.message.endswith("denied the request: no CREATE")
        await client.create(THINGS, thing("a", kept="1"))
        with pytest.raises(errors.StatusError, match="no UPDATE"):
            await client.patch(THINGS, "a", {"data": {"bad": "1"}}, namespace="default")
        with pytest.raises(errors.StatusError, match="no DELETE"):
            await client.delete(THINGS, "a", namespace="default")
        with pytest.raises(errors.StatusError, match="no definitions"):
            await client.create(CRDS, crd(name="others"))
        await client.patch(THINGS, "a", {"data": {"kept": None}}, namespace="default")
        await client.delete(THINGS, "a", namespace="default")


@bare
async def test_timeouts_and_failure_policy(cluster, tmp_path):
    client = cluster.client

    async def slow(request):
        await asyncio.sleep(1.2)
        return {}

    async with hook_server.serving(tmp_path, slow) as config:
        for name, seconds, policy in (("short", 1, "Fail"), ("open", 1, "Ignore"), ("long", 10, "Fail")):
            hook = {"timeoutSeconds": seconds, "failurePolicy": policy,
                    "matchConditions": [{"name": "n", "expression": f"object.metadata.name == '{name}'"}]}
            await client.create(VALIDATING, configuration(name, config, rules=[rule("configmaps")], hook=hook))
        e = await until_denied(client, configmap("short"))
        assert e.message.startswith(f'Internal error occurred: failed calling webhook "short.example.com": failed to call '
                                    f'webhook: Post "{config["url"]}?timeout=1s": context deadline exceeded')
        made = await asyncio.gather(dry(client, configmap("open")), dry(client, configmap("long")))
        assert [e for _, e in made] == [None, None]


@bare
async def test_a_webhook_without_its_ca_fails_closed(cluster, tmp_path):
    client = cluster.client
    async with hook_server.serving(tmp_path, lambda r: {}) as config:
        await client.create(VALIDATING, configuration("v", {"url": config["url"]}, rules=[
            rule("configmaps", "CREATE", "UPDATE", "DELETE")]))
        e = await until_denied(client, configmap("a"))
        assert e.code == 500 and "failed to verify certificate: x509" in e.message


@bare
async def test_mutations_follow_each_other(cluster, tmp_path):
    client = cluster.client

    def admit(request):
        data = request["object"]["data"]
        if "start" in data and "stage-1" not in data:
            return patched({"op": "add", "path": "/data/stage-1", "value": "yes"})
        return patched({"op": "add", "path": "/data/stage-2", "value": "yes"}) if "stage-1" in data else {}

    async with hook_server.serving(tmp_path, admit) as config:
        two = configuration("m", config, mutating=True, rules=[rule("configmaps")])
        two["webhooks"].append({**two["webhooks"][0], "name": "n.example.com"})
        await client.create(MUTATING, two)
        await eventually(lambda: _has(client, configmap("a", start="1"), "stage-1"))
        made = await client.create("configmaps", configmap("a", start="1"))
        assert made["data"] == {"start": "1", "stage-1": "yes", "stage-2": "yes"}


@bare
async def test_what_a_webhook_adds_is_defaulted_and_pruned(cluster, tmp_path):
    client = cluster.client
    await account(client)
    await established(cluster, crd(fields={"known": {"type": "string"}}))

    def admit(request):
        if request["kind"]["kind"] == "Pod":
            return patched({"op": "add", "path": "/spec/initContainers", "value": [{"name": "i", "image": "w"}]})
        return patched({"op": "add", "path": "/data", "value": {"known": "yes", "unknown": "yes"}})

    async with hook_server.serving(tmp_path, admit) as config:
        await client.create(MUTATING, configuration("m", config, mutating=True, rules=[
            rule("pods"), rule("things", group="w.example.com")]))

        async def with_init():
            return (await client.create("pods", pod("p"), dryRun="All"))["spec"].get("initContainers")

        first = (await eventually(with_init))[0]
        assert (first["image"], first["terminationMessagePolicy"], first["imagePullPolicy"]) == ("w", "File", "Always")
        made = await client.create(THINGS, thing("a"))
        assert made["data"] == {"known": "yes"}


@bare
async def test_the_stored_version_may_change(cluster, tmp_path):
    client = cluster.client
    await established(cluster, crd("v1", "v2"))

    def admit(request):
        return patched({"op": "add", "path": f"/data/{request['operation'].lower()}", "value": request["kind"]["version"]})

    async with hook_server.serving(tmp_path, admit) as config:
        await client.create(MUTATING, configuration("m", config, mutating=True, rules=[
            rule("things", "CREATE", "UPDATE", group="w.example.com")]))
        await eventually(lambda: _created(client))
        await client.create(THINGS, thing("a", x="1"))
        versions = crd("v2", "v1")["spec"]["versions"]
        await client.patch(CRDS, "things.w.example.com", {"spec": {"versions": versions}})
        patched_one = await client.patch(THINGS, "a", {"data": {"dummy": "test"}}, namespace="default")
        assert patched_one["data"] == {"x": "1", "create": "v1", "dummy": "test", "update": "v1"}
        assert (await client.get(THINGS2, "a", namespace="default"))["data"]["dummy"] == "test"


async def _created(client):
    return "create" in (await client.create(THINGS, thing("probe"), dryRun="All"))["data"]


def moved(obj, wanted):
    """v1 has data, v2 has payload."""
    out = {**obj, "apiVersion": wanted}
    if wanted.endswith("v2") and "data" in out:
        out["payload"] = out.pop("data")
    elif wanted.endswith("v1") and "payload" in out:
        out["data"] = out.pop("payload")
    return out


@bare
async def test_webhooks_see_the_version_they_asked_for_through_conversion(cluster, tmp_path):
    client, seen = cluster.client, []

    def admit(request):
        seen.append((request["kind"]["version"], request["requestKind"]["version"], request["object"]["apiVersion"],
                     sorted(request["object"])))
        return patched({"op": "add", "path": "/payload/hooked", "value": "yes"})

    async with hook_server.serving(tmp_path, admit, moved) as config:
        definition = crd("v1", "v2", conversion={"strategy": "Webhook", "webhook": {
            "clientConfig": config, "conversionReviewVersions": ["v1"]}})
        both = {"type": "object", "properties": {k: {"type": "object", "additionalProperties": {"type": "string"}}
                                                 for k in ("data", "payload")}}
        for version in definition["spec"]["versions"]:
            version["schema"] = {"openAPIV3Schema": both}
        await established(cluster, definition)
        await client.create(MUTATING, configuration("m", config, mutating=True, rules=[
            rule("things", "CREATE", group="w.example.com", version="v2")]))
        made = await eventually(lambda: _hooked(client))
        assert made["apiVersion"] == "w.example.com/v1" and made["data"] == {"x": "1", "hooked": "yes"}
        assert seen[-1] == ("v2", "v1", "w.example.com/v2", ["apiVersion", "kind", "metadata", "payload"])
        two = {"apiVersion": "w.example.com/v2", "kind": "Thing", "metadata": {"name": "b", "namespace": "default"},
               "payload": {"y": "1"}}
        assert (await client.create(THINGS2, two))["payload"] == {"y": "1", "hooked": "yes"}
        assert seen[-1][:2] == ("v2", "v2")
        assert (await client.get(THINGS, "b", namespace="default"))["data"] == {"y": "1", "hooked": "yes"}


async def _hooked(client):
    made = await client.create(THINGS, thing("a", x="1"), dryRun="All")
    return made if "hooked" in made["data"] else None


@bare
async def test_nobody_is_asked_about_webhook_configurations(cluster, tmp_path):
    client = cluster.client
    asked = []

    def admit(request):
        asked.append(request["kind"]["kind"])
        return denied("no")

    every = [rule("configmaps", "CREATE", "DELETE"), rule("*", "*", group=GROUP)]
    async with hook_server.serving(tmp_path, admit) as config:
        await client.create(VALIDATING, configuration("v", config, rules=every))
        await client.create(MUTATING, configuration("m", config, mutating=True, rules=every))
        await until_denied(client, configmap("a"))
        for plural, mutating in ((VALIDATING, False), (MUTATING, True)):
            made = await client.create(plural, configuration("x", config, mutating=mutating, rules=[rule("pods")]))
            assert [h["name"] for h in made["webhooks"]] == ["x.example.com"]
            await client.delete(plural, "x")
        assert set(asked) == {"ConfigMap"}


@bare
async def test_discovery(cluster):
    names = {g["name"]: g for g in json.loads((await cluster.client.raw("GET", "/apis")).body)["groups"]}
    assert {"groupVersion": f"{GROUP}/v1", "version": "v1"} in names[GROUP]["versions"]
    listed = json.loads((await cluster.client.raw("GET", f"/apis/{GROUP}/v1")).body)["resources"]
    assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
            "validatingadmissionpolicies/status", "validatingadmissionpolicybindings", "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings"} <= {r["name"] for r in listed}


@bare
async def test_what_comes_later_is_told_to_those_before(cluster, tmp_path):
    client, seen = cluster.client, []
    await account(client)
    await client.create("limitranges", {"metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}]}})

    def look(request):
        seen.append([c["name"] for c in request["object"]["spec"]["containers"]])
        return {}

    def add(request):
        return patched({"op": "add", "path": "/spec/containers/-", "value": {"name": "b", "image": "i"}})

    (tmp_path / "1").mkdir()
    async with hook_server.serving(tmp_path, look) as one, hook_server.serving(tmp_path / "1", add) as two:
        for name, policy in (("a", "IfNeeded"), ("b", "Never")):
            await client.create(MUTATING, configuration(name, one if name == "a" else two, mutating=True, rules=[rule("pods")],
                                                        hook={"reinvocationPolicy": policy}))

        async def both():
            made = await client.create("pods", pod("p"), dryRun="All")
            return made if seen and len(made["spec"]["containers"]) == 2 else None

        made = await eventually(both)
        # what the webhook added went through the plugins before it, and the first webhook was asked again
        assert [c["resources"]["limits"]["cpu"] for c in made["spec"]["containers"]] == ["1", "1"]
        assert [len(c["volumeMounts"]) for c in made["spec"]["containers"]] == [1, 1] and len(made["spec"]["volumes"]) == 1
        assert seen[-2:] == [["c"], ["c", "b"]]
