"""Type checking of ValidatingAdmissionPolicies: what the controller writes to their status."""

import kubewheel.testing as testing
from kubewheel.api import catalog
from kubewheel.api.admissionregistration import type_check

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def policy(name, group, plural, *expressions, **spec):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name}, "spec": {
                "matchConstraints": {"resourceRules": [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["*"],
                                                        "resources": [plural]}]},
                "validations": [{"expression": e} for e in expressions], **spec}}


def test_what_types_say():
    deployment = ("apps/v1, Kind=Deployment", type_check.typed(catalog.resource("deployments.apps").node()))
    fine = policy("p", "apps", "deployments", "object.spec.replicas > 1", "object.metadata.name.startsWith('a')",
                  "object.spec.template.spec.containers.all(c, has(c.image))", "object.metadata.labels['a'] == 'b'",
                  "variables.big || oldObject == null", variables=[{"name": "big", "expression": "object.spec.replicas > 5"}])
    assert type_check.warnings(fine, [deployment]) == []
    wrong = policy("p", "apps", "deployments", "object.replicas > 1", "object.spec.replicas == 'x'")
    assert type_check.warnings(wrong, [deployment]) == [
        {"fieldRef": "spec.validations[0].expression", "warning":
            "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^"},
        {"fieldRef": "spec.validations[1].expression", "warning":
            "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_==_' applied to '(int, string)'"
            "\n | object.spec.replicas == 'x'\n | .....................^"}]


def test_types_that_hold_themselves_end():
    node = catalog.resource(CRDS).node()
    schema = "object.spec.versions[0].schema.openAPIV3Schema"
    wrong = policy("p", "apiextensions.k8s.io", "customresourcedefinitions", f"{schema}.properties['a'].properties['b'].nope")
    assert "undefined field 'nope'" in type_check.warnings(wrong, [("x", type_check.typed(node))])[0]["warning"]


@testing.with_cluster(nodes=0, controllers="validatingadmissionpolicy-status-controller", scheduler=False)
async def test_status(cluster):
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    await cluster.client.create(CRDS, {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.t.example.com"}, "spec": {
            "group": "t.example.com", "scope": "Namespaced", "names": {"plural": "boxes", "kind": "Box"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}})
    await cluster.wait_for(CRDS, "boxes.t.example.com", lambda c: any(
        x["type"] == "Established" and x["status"] == "True" for x in (c.get("status") or {}).get("conditions") or ()),
        namespace=None)
    made = await cluster.client.create(POLICIES, policy("p", "t.example.com", "boxes", "object.spec.size > 1",
                                                        "object.spec.weight > 1"))
    assert "status" not in made or not made["status"].get("observedGeneration")

    def seen(generation):
        return lambda p: (p.get("status") or {}).get("observedGeneration") == generation

    told = await cluster.wait_for(POLICIES, "p", seen(1), namespace=None)
    assert told["status"]["typeChecking"]["expressionWarnings"] == [
        {"fieldRef": "spec.validations[1].expression", "warning": "t.example.com/v1, Kind=Box: ERROR: <input>:1:12: undefined "
         "field 'weight'\n | object.spec.weight > 1\n | ...........^"}]
    assert [m["manager"] for m in told["metadata"]["managedFields"] if m.get("subresource") == "status"] == [
        "validatingadmissionpolicy-status"]
    await cluster.client.patch(POLICIES, "p", {"spec": {"validations": [{"expression": "object.spec.size > 1"}]}})
    told = await cluster.wait_for(POLICIES, "p", seen(2), namespace=None)
    assert not told["status"].get("typeChecking")
