"""pods/binding and pods/eviction pass admission as whole objects do."""

import pytest
from tests.apiserver.wire import account, pod, send

from kubewheel.api import errors
from kubewheel.client.inprocess import component
from kubewheel.testing import with_cluster

NS = "/api/v1/namespaces/default"
POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
bare = with_cluster(nodes=0, controllers="", scheduler=False)


def binding(name, node):
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}


@bare
async def test_a_bound_pod_says_where_its_node_is(cluster):
    await account(cluster)
    where = {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1"}
    await cluster.client.create("nodes", {"metadata": {"name": "n1", "labels": {**where, "other": "label"}}})
    await cluster.client.create("pods", pod("p"))
    assert (await send(cluster, "POST", NS + "/pods/p/binding", binding("p", "n1"))).status == 201
    bound = await cluster.client.get("pods", "p", namespace="default")
    assert (bound["spec"]["nodeName"], bound["metadata"]["labels"]) == ("n1", where)
    made = await cluster.client.create("pods", pod("q", nodeName="n1"))
    assert made["metadata"]["labels"] == where
    await cluster.client.create("pods", pod("r"))
    assert (await send(cluster, "POST", NS + "/pods/r/binding", binding("r", "unknown"))).status == 201
    assert "labels" not in (await cluster.client.get("pods", "r", namespace="default"))["metadata"]


@bare
@pytest.mark.parametrize("subresource", ["binding", "eviction"])
async def test_policies_see_them(cluster, subresource):
    await account(cluster)
    await cluster.client.create("pods", pod("p"))
    await cluster.client.create(POLICIES, {"metadata": {"name": "no"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                                "resources": [f"pods/{subresource}"]}]},
        "validations": [{"expression": "object.metadata.name != 'p'", "message": "not this one"}]}})
    await cluster.client.create(BINDINGS, {"metadata": {"name": "no"}, "spec": {
        "policyName": "no", "validationActions": ["Deny"]}})
    body = binding("p", "n1") if subresource == "binding" else {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": "default"}}

    async def refused():
        answer = await send(cluster, "POST", f"{NS}/pods/p/{subresource}?dryRun=All", body)
        return answer.status == 422 and "not this one" in answer.json["message"]

    await cluster.wait_until(refused)
    assert "nodeName" not in (await cluster.client.get("pods", "p", namespace="default"))["spec"]


@bare
async def test_a_node_evicts_only_its_own_pods(cluster):
    await account(cluster)
    for name in ("n1", "n2"):
        await cluster.client.create("nodes", {"metadata": {"name": name}})
        await cluster.client.create("pods", pod(f"on-{name}", nodeName=name))
    node = cluster.server.client_for(component("system:node:n1", "system:nodes"))

    async def evict(name):
        await node.raw("POST", f"{NS}/pods/{name}/eviction", body={
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}})

    with pytest.raises(errors.StatusError, match="can only evict pods with spec.nodeName set to itself"):
        await evict("on-n2")
    assert await cluster.client.find("pods", "on-n2", namespace="default") is not None
    await evict("on-n1")
    gone = await cluster.client.find("pods", "on-n1", namespace="default")
    assert gone is None or gone["metadata"]["deletionTimestamp"]
