"""What becomes of dependents and of what a namespace holds: conformance's garbage_collector.go, namespace.go and
resource_quota.go, each step through a client."""

from tests.apiserver.wire import account, config_map, deployment, send

from kubewheel.testing import with_cluster

collecting = with_cluster(virtual_time=True, nodes=1, scheduler=True,
                          controllers="garbage-collector-controller,replicationcontroller-controller,deployment-controller,"
                                      "replicaset-controller,serviceaccount-controller")
MERGE = "application/merge-patch+json"
RCS = "/api/v1/namespaces/default/replicationcontrollers"


def controller(name, replicas=2):
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"app": name}, "template": {
        "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "example/web:1"}]}}}}


async def pods_of(cluster, app):
    return (await cluster.client.list("pods", namespace="default", label_selector=f"app={app}"))["items"]


async def ready_controller(cluster, name):
    await cluster.wait_for("serviceaccounts", "default")
    assert (await send(cluster, "POST", RCS, controller(name))).status == 201
    await cluster.wait_for("replicationcontrollers", name, lambda rc: (rc.get("status") or {}).get("replicas") == 2)


@collecting
async def test_pods_of_a_replication_controller(cluster):
    await ready_controller(cluster, "orphaning")
    kept = await send(cluster, "DELETE", RCS + "/orphaning", {"propagationPolicy": "Orphan"})
    assert kept.json["metadata"]["finalizers"] == ["orphan"]
    await cluster.wait_gone("replicationcontrollers", "orphaning")
    left = await pods_of(cluster, "orphaning")
    assert len(left) == 2 and not any(p["metadata"].get("ownerReferences") for p in left)
    await ready_controller(cluster, "background")
    gone = await send(cluster, "DELETE", RCS + "/background", {"propagationPolicy": "Background"})
    assert gone.json["status"] == "Success"
    await cluster.wait_until(lambda: _none(cluster, "background"), timeout=60)
    await ready_controller(cluster, "foreground")
    waits = await send(cluster, "DELETE", RCS + "/foreground", {"propagationPolicy": "Foreground"})
    assert waits.json["metadata"]["finalizers"] == ["foregroundDeletion"] and waits.json["metadata"]["deletionTimestamp"]
    await cluster.wait_gone("replicationcontrollers", "foreground", timeout=120)
    assert not await pods_of(cluster, "foreground"), "it stayed until its pods were gone"


async def _none(cluster, app):
    return not await pods_of(cluster, app)


@collecting
async def test_dependents_with_another_owner_stay(cluster):
    await ready_controller(cluster, "one")
    await ready_controller(cluster, "two")
    two = await cluster.client.get("replicationcontrollers", "two", namespace="default")
    shared = (await pods_of(cluster, "one"))[0]["metadata"]
    owners = [*shared["ownerReferences"], {"apiVersion": "v1", "kind": "ReplicationController", "name": "two",
                                           "uid": two["metadata"]["uid"]}]
    await cluster.client.patch("pods", shared["name"], {"metadata": {"ownerReferences": owners}}, namespace="default")
    assert (await send(cluster, "DELETE", RCS + "/one", {"propagationPolicy": "Foreground"})).status == 200
    await cluster.wait_gone("replicationcontrollers", "one", timeout=120)
    (left,) = await pods_of(cluster, "one")
    assert [o["name"] for o in left["metadata"]["ownerReferences"]] == ["two"]
    assert left["metadata"]["name"] == shared["name"] and not left["metadata"].get("deletionTimestamp")


@collecting
async def test_a_circle_of_owners_is_no_hindrance(cluster):
    await cluster.wait_for("serviceaccounts", "default")
    made = [await cluster.client.create("configmaps", config_map(f"c{i}")) for i in range(3)]
    for i, one in enumerate(made):
        owner = made[i - 1]["metadata"]
        await cluster.client.patch("configmaps", one["metadata"]["name"], {"metadata": {"ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"], "controller": True,
            "blockOwnerDeletion": True}]}}, namespace="default")
    waits = await send(cluster, "DELETE", "/api/v1/namespaces/default/configmaps/c0", {"propagationPolicy": "Foreground"})
    assert waits.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    for i in range(3):
        await cluster.wait_gone("configmaps", f"c{i}", timeout=120)


@collecting
async def test_replica_sets_of_a_deployment(cluster):
    await cluster.wait_for("serviceaccounts", "default")
    for name, policy, left in (("gone", "Background", 0), ("kept", "Orphan", 1)):
        await cluster.client.create("deployments.apps", deployment(name))

        async def sets(name=name):
            return (await cluster.client.list("replicasets.apps", namespace="default", label_selector=f"app={name}"))["items"]

        await cluster.wait_until(sets, timeout=60)
        await cluster.client.delete("deployments.apps", name, namespace="default", propagation=policy)
        await cluster.wait_gone("deployments.apps", name, timeout=60)

        async def settled(sets=sets, left=left):
            found = await sets()
            return len(found) == left and not any(s["metadata"].get("ownerReferences") for s in found)

        await cluster.wait_until(settled, timeout=60)


@with_cluster(virtual_time=True, nodes=1, controllers="namespace-controller,serviceaccount-controller")
async def test_namespaces(cluster):
    client, url = cluster.client, "/api/v1/namespaces/team"
    made = await client.create("namespaces", {"metadata": {"name": "team"}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    patched = await send(cluster, "PATCH", url, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert patched.json["metadata"]["labels"]["a"] == "b"
    updated = await client.update("namespaces", {**patched.json, "metadata": {
        **patched.json["metadata"], "labels": {**patched.json["metadata"]["labels"], "c": "d"}}})
    assert updated["metadata"]["labels"]["c"] == "d"
    condition = {"type": "Patched", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    told = await send(cluster, "PATCH", url + "/status", {"status": {"conditions": [condition]}}, content_type=MERGE)
    assert told.status == 200 and told.json["status"]["conditions"][0]["type"] == "Patched", told.body
    held = {**told.json, "spec": {"finalizers": [*told.json["spec"]["finalizers"], "e2e.example.com/finalizer"]}}
    finalized = await send(cluster, "PUT", url + "/finalize", held)
    assert finalized.json["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/finalizer"]
    await send(cluster, "PUT", url + "/finalize", {**finalized.json, "spec": {"finalizers": ["kubernetes"]}})
    await cluster.wait_for("serviceaccounts", "default", namespace="team")
    holding = config_map("last", "team")
    await client.create("configmaps", holding)
    await client.create("services", {"metadata": {"name": "s", "namespace": "team"}, "spec": {"ports": [{"port": 80}]}})
    await client.create("pods", {"metadata": {"name": "p", "namespace": "team", "finalizers": ["e2e.example.com/hold"]},
                                 "spec": {"containers": [{"name": "c", "image": "i"}]}})
    await client.delete("namespaces", "team")
    await cluster.wait_for("pods", "p", lambda p: p["metadata"].get("deletionTimestamp"), namespace="team")
    for kind, name in (("configmaps", "last"), ("services", "s")):
        assert await client.find(kind, name, namespace="team") is not None, "pods go first"
    await client.patch("pods", "p", {"metadata": {"finalizers": None}}, namespace="team")
    await cluster.wait_gone("namespaces", "team", namespace=None, timeout=120)
    again = await client.create("namespaces", {"metadata": {"name": "team"}})
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    for kind in ("pods", "services"):
        assert (await client.list(kind, namespace="team"))["items"] == []


def small_pod(name, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [{
        "name": "c", "image": "i", **({"resources": spec.pop("resources")} if "resources" in spec else {})}], **spec}}


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="resourcequota-controller")
async def test_quotas_capture_the_life_of_objects(cluster):
    await cluster.server.bootstrap.wait_ready()
    await account(cluster)
    client = cluster.client
    hard = {"pods": "2", "requests.cpu": "1", "services": "2", "services.nodeports": "1", "secrets": "1", "configmaps": "2",
            "replicationcontrollers": "1", "count/replicasets.apps": "1", "persistentvolumeclaims": "1"}
    before = len((await client.list("services", namespace="default"))["items"])
    made = await client.create("resourcequotas", {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}})
    assert made["spec"]["hard"] == hard

    async def uses(**wanted):
        wanted = {k.replace("__", "/").replace("_", "."): v for k, v in wanted.items()}
        await cluster.wait_for("resourcequotas", "q", lambda q: wanted.items() <= (q.get("status") or {}).get("used", {}).items())

    await uses(pods="0", services=str(before), secrets="0")
    rs = deployment("r", 0)
    rs.update(kind="ReplicaSet")
    objects = {
        "configmaps": config_map("c"), "secrets": {"metadata": {"name": "s", "namespace": "default"}},
        "services": {"metadata": {"name": "v", "namespace": "default"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}},
        "pods": small_pod("p", resources={"requests": {"cpu": "600m"}}), "replicasets.apps": rs,
        "replicationcontrollers": {**controller("rc", 0), "metadata": {"name": "rc", "namespace": "default"}},
        "persistentvolumeclaims": {"metadata": {"name": "d", "namespace": "default"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}
    for kind, obj in objects.items():
        await client.create(kind, obj)
    await uses(pods="1", requests_cpu="600m", services=str(before + 1), services_nodeports="1", secrets="1",
               replicationcontrollers="1", count__replicasets_apps="1", persistentvolumeclaims="1")
    refused = await send(cluster, "POST", "/api/v1/namespaces/default/pods",
                         small_pod("big", resources={"requests": {"cpu": "500m"}}))
    assert refused.status == 403 and "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m" in (
        refused.json["message"])
    refused = await send(cluster, "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "t"}})
    assert refused.status == 403 and "limited: secrets=1" in refused.json["message"]
    for kind, obj in objects.items():
        await client.delete(kind, obj["metadata"]["name"], namespace="default", grace=0, propagation="Background")
    await client.patch("persistentvolumeclaims", "d", {"metadata": {"finalizers": None}}, namespace="default")
    await uses(pods="0", requests_cpu="0", services=str(before), services_nodeports="0", secrets="0",
               replicationcontrollers="0", count__replicasets_apps="0", persistentvolumeclaims="0")


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="resourcequota-controller")
async def test_quotas_with_scopes_and_their_own_life(cluster):
    await cluster.server.bootstrap.wait_ready()
    await account(cluster)
    client, url = cluster.client, "/api/v1/namespaces/default/resourcequotas"
    for scope in ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating"):
        await client.create("resourcequotas", {"metadata": {"name": scope.lower(), "namespace": "default", "labels": {"t": "y"}},
                                               "spec": {"hard": {"pods": "5"}, "scopes": [scope]}})

    async def uses(**wanted):
        for name, count in wanted.items():
            await cluster.wait_for("resourcequotas", name, lambda q, count=count: (
                (q.get("status") or {}).get("used") == {"pods": count}))

    await uses(besteffort="0", notbesteffort="0", terminating="0", notterminating="0")
    await client.create("pods", small_pod("best"))
    await uses(besteffort="1", notbesteffort="0", terminating="0", notterminating="1")
    await client.create("pods", small_pod("ends", activeDeadlineSeconds=3600, resources={"requests": {"cpu": "1"}}))
    await uses(besteffort="1", notbesteffort="1", terminating="1", notterminating="1")
    await client.delete("pods", "best", namespace="default", grace=0)
    await uses(besteffort="0", notbesteffort="1", terminating="1", notterminating="0")
    patched = await send(cluster, "PATCH", url + "/terminating", {"spec": {"hard": {"pods": "7"}}}, content_type=MERGE)
    assert patched.json["spec"]["hard"] == {"pods": "7"}
    await cluster.wait_for("resourcequotas", "terminating", lambda q: q["status"]["hard"] == {"pods": "7"})
    told = await send(cluster, "PATCH", url + "/terminating/status", {"metadata": {"annotations": {"a": "b"}}}, content_type=MERGE)
    assert told.status == 200 and told.json["metadata"]["annotations"] == {"a": "b"}
    assert len((await send(cluster, "GET", "/api/v1/resourcequotas?labelSelector=t%3Dy")).json["items"]) == 4
    assert (await send(cluster, "DELETE", url + "?labelSelector=t%3Dy")).status == 200
    assert (await send(cluster, "GET", url)).json["items"] == []
