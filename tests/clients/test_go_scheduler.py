"""Upstream's kube-scheduler, replayed call by call: what it watches, binds, tells of pods, and preempts."""

import pytest
from tests.clients.go_client import GoClient, Refused

from kubewheel.lib import clock as clocks

SERVED = {"nodes": 1, "scheduler": False}
USER = "system:kube-scheduler"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
DRA, STORAGE = "/apis/resource.k8s.io/v1", "/apis/storage.k8s.io/v1"
INFORMERS = ("/api/v1/nodes", "/api/v1/namespaces", "/api/v1/services", "/api/v1/replicationcontrollers", "/apis/apps/v1/replicasets",
             "/apis/apps/v1/statefulsets", "/apis/policy/v1/poddisruptionbudgets", "/api/v1/persistentvolumes",
             "/api/v1/persistentvolumeclaims", f"{STORAGE}/storageclasses", f"{STORAGE}/csinodes", f"{STORAGE}/csidrivers",
             f"{STORAGE}/csistoragecapacities", f"{STORAGE}/volumeattachments", f"{DRA}/deviceclasses", f"{DRA}/resourceclaims",
             f"{DRA}/resourceslices")


def now(micro=False):
    return clocks.rfc3339_micro(clocks.RealClock().now()) if micro else clocks.rfc3339(clocks.RealClock().now())


@pytest.fixture(scope="module")
def go(served, tmp_path_factory):
    made = []

    def client(*args):
        made.append(GoClient(served, *args, folder=tmp_path_factory.mktemp("go")))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def admin(go):
    return go("kubectl", "admin", "system:masters")


@pytest.fixture(scope="module")
def scheduler(go):
    return go("kube-scheduler/scheduler", USER)


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "containers": [{"name": "main", "image": "example/web:1"}], **spec}}


def binding(obj, node):
    """What DefaultBinder posts."""
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {k: obj["metadata"][k] for k in ("name", "namespace", "uid")},
            "target": {"kind": "Node", "name": node}}


def test_leader_election_and_delegation(go):
    leader = go("kube-scheduler/leader-election", USER)
    leader.get(f"{LEASES}/kube-scheduler", status=404)
    held = leader.post(LEASES, {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "kube-scheduler", "namespace": "kube-system"},
        "spec": {"holderIdentity": "host_1", "leaseDurationSeconds": 15, "acquireTime": now(True), "renewTime": now(True), "leaseTransitions": 0}})
    held = leader.put(f"{LEASES}/kube-scheduler", held | {"spec": held["spec"] | {"leaseTransitions": 1}})
    released = leader.put(f"{LEASES}/kube-scheduler", held | {"spec": held["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1}})
    assert released["spec"]["holderIdentity"] == "" and released["spec"]["leaseTransitions"] == 1
    leader.post("/apis/events.k8s.io/v1/namespaces/kube-system/events", {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "kube-scheduler.18a", "namespace": "kube-system"},
        "eventTime": now(True), "action": "LeaderElection", "reason": "LeaderElection", "note": "host_1 became leader", "type": "Normal",
        "reportingController": "kube-scheduler", "reportingInstance": "kube-scheduler-host",
        "regarding": {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "namespace": "kube-system", "name": "kube-scheduler"}})
    with leader.informer("/api/v1/namespaces/kube-system/configmaps", fieldSelector="metadata.name=extension-apiserver-authentication") as one:
        assert "client-ca-file" in one.items["kube-system", "extension-apiserver-authentication"]["data"]
    leader.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt", status=403)
    leader.get("/api/v1/namespaces/kube-system/configmaps", status=403)
    leader.post("/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": "none"}})
    leader.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
            "user": "prometheus", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}})


def test_informers(scheduler):
    for path in INFORMERS:
        with scheduler.informer(path) as informer:
            assert all(obj["kind"] for obj in informer.items.values()), path
    with scheduler.informer("/api/v1/nodes") as nodes:
        assert nodes.names == ["node-0"] and nodes.items["", "node-0"]["status"]["allocatable"]["cpu"]
    # a client without WatchList, or after a fallback: pages from the cache, then a watch from there
    listed = scheduler.get("/api/v1/nodes", query={"limit": "500", "resourceVersion": "0"})
    assert listed["kind"] == "NodeList" and [n["metadata"]["name"] for n in listed["items"]] == ["node-0"]
    with scheduler.watch("/api/v1/nodes", resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
        assert watch.type
    for path in ("/api/v1/secrets", "/api/v1/configmaps", "/apis/apps/v1/deployments", "/api/v1/serviceaccounts"):
        with pytest.raises(Refused, match="cannot watch resource"):
            scheduler.informer(path)


def test_a_pod_is_bound_and_runs(served, scheduler, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}/pods"
    with scheduler.informer("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed") as queue:
        made = admin.post(base, pod("web"))
        seen = queue.until(lambda _, obj: obj["metadata"]["uid"] == made["metadata"]["uid"])
        assert "nodeName" not in seen["spec"] and seen["spec"]["schedulerName"] == "default-scheduler"
        assert scheduler.call("POST", f"{base}/web/binding", binding(made | {"metadata": made["metadata"] | {"uid": "another"}}, "node-0"),
                              status=409)["reason"] == "Conflict"
        bound = scheduler.post(f"{base}/web/binding", binding(made, "node-0"))
        assert bound["kind"] == "Status" and bound["status"] == "Success"
        told = queue.until(lambda _, obj: obj["spec"].get("nodeName"))
        assert told["spec"]["nodeName"] == "node-0"
        assert [c["status"] for c in told["status"]["conditions"] if c["type"] == "PodScheduled"] == ["True"]
        again = scheduler.call("POST", f"{base}/web/binding", binding(made, "node-0"), status=409)
        assert 'pod web is already assigned to node "node-0"' in again["message"]
        queue.until(lambda _, obj: obj["status"]["phase"] == "Running")
        # what has ended leaves the watch as if it were deleted
        admin.patch(f"{base}/web/status", {"status": {"phase": "Succeeded"}})
        queue.until(lambda kind, obj: kind == "DELETED" and obj["metadata"]["name"] == "web")
    at = now(True)
    events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    event = scheduler.post(events, {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "web.18a", "namespace": namespace}, "eventTime": at,
        "reportingController": "default-scheduler", "reportingInstance": "default-scheduler-host", "action": "Binding", "reason": "Scheduled",
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "web", "uid": made["metadata"]["uid"], "apiVersion": "v1"},
        "note": f"Successfully assigned {namespace}/web to node-0", "type": "Normal"})
    assert event["eventTime"] == at
    series = scheduler.patch(f"{events}/web.18a", {"series": {"count": 2, "lastObservedTime": at}})
    assert series["series"] == {"count": 2, "lastObservedTime": at}
    core = admin.get(f"/api/v1/namespaces/{namespace}/events/web.18a")
    assert core["involvedObject"]["name"] == "web" and core["reportingComponent"] == "default-scheduler"
    scheduler.patch(f"{base}/web", {"metadata": {"labels": {"a": "b"}}}, status=403)
    scheduler.call("POST", base, pod("other"), status=403)


def test_what_cannot_be_placed_is_told_and_preempts(served, scheduler, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}/pods"
    victim, made = admin.post(base, pod("victim", nodeName="node-0")), admin.post(base, pod("urgent"))
    condition = {"lastProbeTime": None, "lastTransitionTime": now(), "message": "0/1 nodes are available: 1 Insufficient cpu.",
                 "observedGeneration": 1, "reason": "Unschedulable", "status": "False", "type": "PodScheduled"}
    told = scheduler.patch(f"{base}/urgent/status", {"status": {
        "$setElementOrder/conditions": [{"type": "PodScheduled"}], "conditions": [condition], "nominatedNodeName": "node-0"}})
    assert told["status"]["nominatedNodeName"] == "node-0" and told["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert told["status"]["conditions"][0]["observedGeneration"] == 1 and told["metadata"]["uid"] == made["metadata"]["uid"]
    target = {"lastProbeTime": None, "lastTransitionTime": now(), "message": "default-scheduler: preempting to accommodate a higher priority pod",
              "reason": "PreemptionByScheduler", "status": "True", "type": "DisruptionTarget", "observedGeneration": 1}
    order = [{"type": c["type"]} for c in victim["status"].get("conditions", ())] + [{"type": "DisruptionTarget"}]
    told = scheduler.patch(f"{base}/victim/status", {"status": {"$setElementOrder/conditions": order, "conditions": [target]}})
    assert "PreemptionByScheduler" in [c.get("reason") for c in told["status"]["conditions"]]
    ended = scheduler.delete(f"{base}/victim")
    assert ended["kind"] == "Pod" and ended["metadata"]["deletionTimestamp"]
    served.wait_gone("pods", "victim", namespace=namespace)
    cleared = scheduler.patch(f"{base}/urgent/status", {"status": {"nominatedNodeName": None}})
    assert "nominatedNodeName" not in cleared["status"]


def test_volumes_wait_for_it(scheduler, admin, namespace):
    claims, volumes = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", "/api/v1/persistentvolumes"
    claim = admin.post(claims, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "later", "resources": {"requests": {"storage": "1Gi"}}}})
    volume = admin.post(volumes, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-waits"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "later",
        "csi": {"driver": "csi.example.com", "volumeHandle": "1"}}})
    claim = scheduler.get(f"{claims}/data")
    claim["metadata"]["annotations"] = {"volume.kubernetes.io/selected-node": "node-0"}
    assert scheduler.put(f"{claims}/data", claim)["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "node-0"
    volume = scheduler.get(f"{volumes}/pv-waits")
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": namespace, "name": "data", "uid": claim["metadata"]["uid"]}
    volume["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bound-by-controller"] = "yes"
    bound = scheduler.put(f"{volumes}/pv-waits", volume | {"spec": volume["spec"] | {"claimRef": reference}})
    assert bound["spec"]["claimRef"]["name"] == "data"
    scheduler.delete(f"{claims}/data", status=403)


def test_devices_are_allocated(scheduler, admin, namespace):
    claims = f"{DRA}/namespaces/{namespace}/resourceclaims"
    made = admin.post(claims, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "gpu"}, "spec": {
        "devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}})
    user = admin.post(f"/api/v1/namespaces/{namespace}/pods", pod("user", resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]))
    selector = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-0"]}]}]}
    status = {"allocation": {"devices": {"results": [{"request": "gpu", "driver": "gpu.example.com", "pool": "node-0", "device": "gpu-0"}]},
                             "nodeSelector": selector},
              "reservedFor": [{"resource": "pods", "name": "user", "uid": user["metadata"]["uid"]}]}
    made = scheduler.put(f"{claims}/gpu", made | {"metadata": made["metadata"] | {"finalizers": ["resource.kubernetes.io/delete-protection"]}})
    told = scheduler.put(f"{claims}/gpu/status", made | {"status": status})
    assert told["status"]["reservedFor"] == status["reservedFor"] and told["status"]["allocation"]["nodeSelector"] == selector
    released = scheduler.patch(f"{claims}/gpu/status", {"metadata": {"uid": made["metadata"]["uid"]}, "status": {
        "reservedFor": [{"$patch": "delete", "uid": user["metadata"]["uid"]}]}})
    assert "reservedFor" not in released["status"] and released["status"]["allocation"]
    # of extended resources it makes the claims itself, and deletes them where the pod went elsewhere
    own = scheduler.post(claims, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "spec": made["spec"], "metadata": {
        "generateName": "user-extended-resources-", "annotations": {"resource.kubernetes.io/extended-resource-claim": "true"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "user", "uid": user["metadata"]["uid"], "controller": True}]}})
    scheduler.delete(f"{claims}/{own['metadata']['name']}")
    scheduler.delete(f"{DRA}/resourceslices/none", status=403)
