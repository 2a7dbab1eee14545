"""The flow of ARCHITECTURE.md as an executable test: one Deployment, each room it passes."""

from kubewheel.testing import with_cluster


def deployment(name, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "main", "image": "example/web:1", "ports": [{"containerPort": 80}]}]}}}}


@with_cluster(virtual_time=True, nodes=2)
async def test_from_apply_to_endpoints(cluster):
    client = cluster.client
    # apply → chain → verbs/patch → store: the answer carries defaults, a uid and who owns which field
    applied = await client.apply("deployments.apps", deployment("web", 3), fieldManager="me")
    assert applied["spec"]["strategy"]["type"] == "RollingUpdate"
    assert applied["metadata"]["uid"] and applied["metadata"]["managedFields"][0]["manager"] == "me"
    stored = await cluster.control_plane.store.get("/registry/deployments/default/web")
    assert stored is not None and b'"resourceVersion"' not in stored.value

    # controllers/deployment → controllers/replicaset
    await cluster.wait_for("deployments.apps", "web", lambda d: (d.get("status") or {}).get("updatedReplicas") == 3)
    sets = (await client.list("replicasets.apps", namespace="default"))["items"]
    assert [s["metadata"]["ownerReferences"][0]["name"] for s in sets] == ["web"]

    # scheduler/loop → subresources/binding → the (simulated) kubelet → status
    await cluster.wait_for("deployments.apps", "web", lambda d: d["status"].get("readyReplicas") == 3)
    pods = (await client.list("pods", namespace="default"))["items"]
    assert {p["spec"]["nodeName"] for p in pods} == {"node-0", "node-1"}
    assert all(p["status"]["phase"] == "Running" and p["status"]["podIP"] for p in pods)

    # controllers/endpointslice → proxy/model
    await client.create("services", {"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80}]}})

    async def sliced():
        found = (await client.list("endpointslices.discovery.k8s.io", namespace="default",
                                   label_selector="kubernetes.io/service-name=web"))["items"]
        return found if found and len(found[0].get("endpoints") or ()) == 3 else None

    slices = await cluster.wait_until(sliced, what="three endpoints")
    from kubewheel.proxy import model

    service = await client.get("services", "web", namespace="default")
    rules = model.build([service], slices, node_name="node-0")
    assert {e.ip for e in rules.ports[0].cluster} == {p["status"]["podIP"] for p in pods}

    # and back: what owns goes, what is owned follows
    await client.delete("deployments.apps", "web", namespace="default", propagation="Background")

    async def gone():
        return not (await client.list("pods", namespace="default"))["items"]

    await cluster.wait_until(gone, timeout=120, what="the pods are gone")
