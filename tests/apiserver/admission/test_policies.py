"""Admission policies in a server: what they refuse, warn of, and change."""

import asyncio
import json

import pytest
from tests.apiserver.wire import ADMIN

import kubewheel.testing as testing
from kubewheel.api import errors
from kubewheel.client.transport import Request

GROUP = "admissionregistration.k8s.io"
VAP, VAPB = f"validatingadmissionpolicies.{GROUP}", f"validatingadmissionpolicybindings.{GROUP}"
MAP, MAPB = f"mutatingadmissionpolicies.{GROUP}", f"mutatingadmissionpolicybindings.{GROUP}"
RULES = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                            "resources": ["configmaps"]}]}


def policy(kind, name, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name},
            "spec": {"matchConstraints": RULES, **spec}}


def binding(kind, name, of, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": {"policyName": of, **spec}}


def configmap(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


async def refused(client, obj, code):
    """The refusal, once the policy has reached the server's own cache."""
    for _ in range(200):
        try:
            await client.create("configmaps", obj, dryRun="All")
        except errors.StatusError as e:
            assert e.code == code, e
            return e
        await asyncio.sleep(0.01)
    raise AssertionError("never refused")


@testing.with_cluster()
async def test_validations_variables_params_and_conditions(cluster):
    client = cluster.client
    await client.create("configmaps", configmap("limits", max="3"))
    await client.create(VAP, policy(
        "ValidatingAdmissionPolicy", "p", paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConditions=[{"name": "not-limits", "expression": "object.metadata.name != 'limits'"}],
        variables=[{"name": "count", "expression": "size(object.data)"},
                   {"name": "limit", "expression": "int(params.data.max)"}],
        validations=[{"expression": "variables.count <= variables.limit", "reason": "Forbidden",
                      "messageExpression": "'%d of %d'.format([variables.count, variables.limit])"},
                     {"expression": "!has(object.data.bad)", "message": "no bad ones"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "b", "p", validationActions=["Deny"],
                                      paramRef={"name": "limits", "namespace": "default",
                                                "parameterNotFoundAction": "Deny"}))
    e = await refused(client, configmap("x", a="1", b="2", c="3", d="4"), 403)
    assert e.message == ("configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
                         "4 of 3")
    e = await refused(client, configmap("x", bad="1"), 422)
    assert e.message.endswith("denied request: no bad ones") and e.reason == "Invalid"
    await client.create("configmaps", configmap("x", a="1"))
    changed = await client.get("configmaps", "limits", namespace="default")
    await client.update("configmaps", {**changed, "data": {"max": "1", "2": "", "3": "", "4": ""}})


@testing.with_cluster()
async def test_errors_and_failure_policy(cluster):
    client = cluster.client
    await client.create(VAP, policy("ValidatingAdmissionPolicy", "open", failurePolicy="Ignore",
                                    validations=[{"expression": "object.data.missing == 'x'"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "open", "open", validationActions=["Deny"]))
    await client.create(VAP, policy("ValidatingAdmissionPolicy", "shut",
                                    validations=[{"expression": "object.data.missing == 'x'"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "shut", "shut", validationActions=["Deny"]))
    e = await refused(client, configmap("x", a="1"), 422)
    assert e.message.endswith("ValidatingAdmissionPolicy 'shut' with binding 'shut' denied request: expression "
                              "'object.data.missing == 'x'' resulted in error: no such key: missing")


@pytest.mark.parametrize(("spec", "field", "words"), [
    ({"validations": [{"expression": "object.x >"}]}, "spec.validations[0].expression", "Syntax error"),
    ({"validations": [{"expression": "variables.a == 1"}]}, "spec.validations[0].expression", "undefined field 'a'"),
    ({"validations": [{"expression": "params.x == 1"}]}, "spec.validations[0].expression", "undeclared reference to 'params'"),
    ({"validations": [{"expression": "'x'"}]}, "spec.validations[0].expression", "must evaluate to bool"),
])
@testing.with_cluster()
async def test_policies_that_do_not_compile(cluster, spec, field, words):
    with pytest.raises(errors.StatusError) as e:
        await cluster.client.create(VAP, policy("ValidatingAdmissionPolicy", "p", **spec))
    cause = e.value.status["details"]["causes"][0]
    assert e.value.code == 422 and cause["field"] == field and words in cause["message"]


@testing.with_cluster()
async def test_mutations(cluster):
    client = cluster.client
    await client.create(MAP, policy(
        "MutatingAdmissionPolicy", "m", reinvocationPolicy="Never",
        mutations=[{"patchType": "ApplyConfiguration", "applyConfiguration": {
            "expression": 'Object{metadata: Object.metadata{labels: {"made-by": request.userInfo.username != "" ? "cel" : ""}}}'}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression":
                '[JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("a.b"), value: object.metadata.labels["made-by"]}]'}}]))
    await client.create(MAPB, binding("MutatingAdmissionPolicyBinding", "mb", "m"))
    for i in range(200):
        made = await client.create("configmaps", configmap(f"x{i}", a="1"))
        if made["metadata"].get("labels"):
            break
        await asyncio.sleep(0.01)
    assert made["metadata"]["labels"] == {"made-by": "cel"} and made["data"] == {"a": "1", "a.b": "cel"}


@testing.with_cluster()
async def test_match_conditions_of_webhooks(cluster):
    client = cluster.client
    await client.create(f"validatingwebhookconfigurations.{GROUP}", {"metadata": {"name": "w"}, "webhooks": [{
        "name": "w.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "rules": RULES["resourceRules"],
        "matchConditions": [{"name": "c", "expression": "object.metadata.name.startsWith('asked')"}]}]})
    e = await refused(client, configmap("asked"), 500)
    assert 'failed calling webhook "w.example.com"' in e.message
    await client.create("configmaps", configmap("other"))


@testing.with_cluster()
async def test_warn_audit_selectors_and_the_authorizer(cluster):
    client = cluster.client
    allowed = "authorizer.group('').resource('configmaps').namespace('default').check('create').allowed()"
    await client.create(VAP, policy("ValidatingAdmissionPolicy", "w", validations=[
        {"expression": f"!({allowed} && authorizer.requestResource.check('create').allowed())", "message": "may create"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "w", "w", validationActions=["Deny"],
                                      matchResources={"objectSelector": {"matchLabels": {"look": "here"}}}))
    marked = configmap("x")
    marked["metadata"]["labels"] = {"look": "here"}
    assert (await refused(client, marked, 422)).message.endswith("may create")
    await client.create("configmaps", configmap("y"))


async def told(cluster, obj):
    """A create as the wire has it: (status, warnings, audit annotations)."""
    request = Request(method="POST", path="/api/v1/namespaces/default/configmaps", headers={"content-type": "application/json"},
                      query={"dryRun": ["All"]}, body=json.dumps(obj).encode(), user=ADMIN)
    answer = await cluster.server.chain(request)
    return answer.status, answer.warnings, request.attributes.get("annotations") or {}


@testing.with_cluster()
async def test_warnings_and_audit(cluster):
    client = cluster.client
    await client.create(VAP, policy("ValidatingAdmissionPolicy", "p", validations=[
        {"expression": "size(object.data) < 2", "message": "too much"}],
        auditAnnotations=[{"key": "count", "valueExpression": "string(size(object.data))"},
                          {"key": "none", "valueExpression": "null"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "b", "p", validationActions=["Warn", "Audit"]))
    async with asyncio.timeout(5):
        while not (found := await told(cluster, configmap("x", a="1", b="2")))[1]:
            await asyncio.sleep(0.01)
    status, warnings, annotations = found
    assert (status, warnings) == (201, [
        "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': too much"])
    assert annotations["p/count"] == "2" and "p/none" not in annotations
    assert json.loads(annotations["validation.policy.admission.k8s.io/validation_failure"]) == [
        {"message": "too much", "policy": "p", "binding": "b", "expressionIndex": 0, "validationActions": ["Warn", "Audit"]}]
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "c", "p", validationActions=["Deny"]))
    async with asyncio.timeout(5):
        while (found := await told(cluster, configmap("x", a="1", b="2")))[0] == 201:
            await asyncio.sleep(0.01)
    assert found[0] == 422 and found[1] == warnings, "what was warned of is told with the refusal too"


def deployment(name, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"a": name}}, "template": {
            "metadata": {"labels": {"a": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}


DEPLOYMENTS = {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                                  "resources": ["deployments"]}]}


async def _admits(client, obj):
    try:
        return await client.create("deployments.apps", obj, dryRun="All")
    except errors.StatusError:
        return None


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_deployments(cluster):
    client = cluster.client
    await client.create(VAP, policy(
        "ValidatingAdmissionPolicy", "p", matchConstraints=DEPLOYMENTS,
        variables=[{"name": "replicas", "expression": "object.spec.replicas"},
                   {"name": "replicasReminder", "expression": "variables.replicas % 2"}],
        validations=[{"expression": "variables.replicas > 1 && variables.replicasReminder == 1"}]))
    await client.create(VAPB, binding("ValidatingAdmissionPolicyBinding", "b", "p", validationActions=["Deny"]))
    async with asyncio.timeout(5):
        while True:
            try:
                await client.create("deployments.apps", deployment("even", 2), dryRun="All")
            except errors.StatusError as e:
                assert e.message.endswith("denied request: failed expression: variables.replicas > 1 && "
                                          "variables.replicasReminder == 1")
                break
            await asyncio.sleep(0.01)
    await client.create("deployments.apps", deployment("odd", 3))
    await client.delete(VAPB, "b")
    async with asyncio.timeout(5):
        while not await _admits(client, deployment("even", 2)):
            await asyncio.sleep(0.01)
    expressions = ("Object{metadata: Object.metadata{annotations: {'made': 'by-policy'}}, spec: Object.spec{replicas: 5}}",
                   "Object{metadata: Object.metadata{labels: {'replicas': string(object.spec.replicas)}}}")
    await client.create(MAP, policy("MutatingAdmissionPolicy", "m", matchConstraints=DEPLOYMENTS, reinvocationPolicy="Never", mutations=[
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": e}} for e in expressions]))
    await client.create(MAPB, binding("MutatingAdmissionPolicyBinding", "mb", "m"))
    async with asyncio.timeout(5):
        while not (made := await client.create("deployments.apps", deployment("x", 1), dryRun="All"))["metadata"].get("labels"):
            await asyncio.sleep(0.01)
    assert (made["spec"]["replicas"], made["metadata"]["annotations"], made["metadata"]["labels"]) == (
        5, {"made": "by-policy"}, {"replicas": "5"})


@testing.with_cluster(nodes=0, controllers="", scheduler=False)
async def test_reinvocation_and_params_by_label(cluster):
    client = cluster.client
    await client.create("configmaps", {**configmap("one", suffix="-1"), "metadata": {
        "name": "one", "namespace": "default", "labels": {"use": "yes"}}})
    add = '[JSONPatch{op: "add", path: "/data/%s", value: %s}]'

    def mutating(name, expression, **spec):
        return policy("MutatingAdmissionPolicy", name, matchConditions=[
            {"name": "mine", "expression": "object.metadata.name.startsWith('x')"}], mutations=[
            {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}], **spec)

    first = add % ("first", "'seen' + (has(object.data.second) ? '-second' : '')")
    await client.create(MAP, mutating("a", first, reinvocationPolicy="IfNeeded"))
    await client.create(MAP, mutating("b", add % ("second", "'s' + params.data.suffix"), reinvocationPolicy="Never",
                                      paramKind={"apiVersion": "v1", "kind": "ConfigMap"}))
    await client.create(MAPB, binding("MutatingAdmissionPolicyBinding", "a", "a"))
    await client.create(MAPB, binding("MutatingAdmissionPolicyBinding", "b", "b", paramRef={
        "namespace": "default", "selector": {"matchLabels": {"use": "yes"}}, "parameterNotFoundAction": "Deny"}))
    async with asyncio.timeout(5):
        while len((made := await client.create("configmaps", configmap("x", a="1"), dryRun="All"))["data"]) < 3:
            await asyncio.sleep(0.01)
    assert made["data"] == {"a": "1", "first": "seen-second", "second": "s-1"}
