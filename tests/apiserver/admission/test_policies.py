"""Admission policies in a server: what they refuse, warn of, and change."""

import asyncio

import pytest

import kubewheel.testing as testing
from kubewheel.api import errors

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
