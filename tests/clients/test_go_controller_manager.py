"""Upstream's kube-controller-manager, replayed call by call: each controller with a token of its own account, which may
do what the bootstrap policy says and nothing else."""

import pytest
from tests.clients.go_client import AGGREGATED, metadata_only
from tests.clients.go_controllers import MANAGER, Manager, owner, template, workload
from tests.clients.serving import until

from kubewheel.apiserver.options import Options
from kubewheel.lib import clock as clocks

SERVED = {"nodes": 0, "controllers": "", "scheduler": False,
          "options": Options(enable_admission_plugins=("OwnerReferencesPermissionEnforcement", "NodeRestriction"))}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def now(micro=False):
    return clocks.rfc3339_micro(clocks.RealClock().now()) if micro else clocks.rfc3339(clocks.RealClock().now())


@pytest.fixture(scope="module")
def manager(served, tmp_path_factory):
    made = Manager(served, tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def admin(manager):
    return manager.client("admin", "admin", "system:masters")


@pytest.fixture
def namespace(request, manager, admin):
    """Made as a cluster makes it: by an admin, its account by the service account controller, the CA's ConfigMap, too."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50]
    admin.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    manager.as_("service-account-controller").post(f"/api/v1/namespaces/{name}/serviceaccounts", {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
    publisher, maps = manager.as_("root-ca-cert-publisher"), f"/api/v1/namespaces/{name}/configmaps"
    made = publisher.post(maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "a"}})
    assert publisher.put(f"{maps}/kube-root-ca.crt", made | {"data": {"ca.crt": "b"}})["data"] == {"ca.crt": "b"}
    publisher.get(f"{maps}/kube-root-ca.crt", status=403)
    return name


def test_leader_election_and_delegated_authentication(manager):
    root = manager.client("leader-election", f"system:{MANAGER}")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": MANAGER, "namespace": "kube-system"},
             "spec": {"holderIdentity": "host_1", "leaseDurationSeconds": 15, "acquireTime": now(True), "renewTime": now(True),
                      "leaseTransitions": 0}}
    assert root.get(f"{LEASES}/{MANAGER}", status=404)["details"]["kind"] == "leases"
    held = root.post(LEASES, lease)
    assert held["spec"]["leaseTransitions"] == 0 and held["spec"]["acquireTime"] == lease["spec"]["acquireTime"]
    renewed = root.put(f"{LEASES}/{MANAGER}", held | {"spec": held["spec"] | {"renewTime": "2031-01-01T00:00:00.000001Z"}})
    assert renewed["spec"]["renewTime"] == "2031-01-01T00:00:00.000001Z"
    assert root.put(f"{LEASES}/{MANAGER}", held, status=409)["reason"] == "Conflict"
    assert root.get(f"{LEASES}/kube-scheduler", status=404)  # the role in kube-system names no lease
    at = now()
    root.post("/api/v1/namespaces/kube-system/events", {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{MANAGER}.18a", "namespace": "kube-system"},
        "involvedObject": {"kind": "Lease", "namespace": "kube-system", "name": MANAGER, "apiVersion": "coordination.k8s.io/v1"},
        "reason": "LeaderElection", "message": "host_1 became leader", "source": {"component": MANAGER}, "firstTimestamp": at,
        "lastTimestamp": at, "count": 1, "type": "Normal", "eventTime": None, "reportingComponent": MANAGER})
    auth = "/api/v1/namespaces/kube-system/configmaps"
    assert "client-ca-file" in root.get(f"{auth}/extension-apiserver-authentication")["data"]
    with root.informer(auth, fieldSelector="metadata.name=extension-apiserver-authentication") as one:
        assert one.names == ["extension-apiserver-authentication"]
    review = root.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
            "user": "system:anonymous", "groups": ["system:unauthenticated"], "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}})
    assert not review["status"].get("allowed")
    root.post("/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": "none"}})
    for path, body in (("/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}}),
                       ("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})):
        assert root.call("POST", path, body, status=403)["message"].endswith("at the cluster scope" if "nodes" in path else '"default"')


def resources(client):
    """(prefix, resource) of the preferred version of all that can be listed and watched, out of aggregated discovery."""
    for root in ("/api", "/apis"):
        found = client.get(root, accept=AGGREGATED)
        assert found["kind"] == "APIGroupDiscoveryList" and found["apiVersion"] == "apidiscovery.k8s.io/v2"
        for group in found["items"]:
            seen = set()
            for version in group["versions"]:
                assert version["freshness"] == "Current"
                prefix = f"/apis/{group['metadata']['name']}/{version['version']}" if root == "/apis" else f"/api/{version['version']}"
                for resource in version["resources"]:
                    if resource["resource"] not in seen and {"list", "watch"} <= set(resource["verbs"]):
                        seen.add(resource["resource"])
                        yield prefix, resource


def test_metadata_informers_of_everything_in_discovery(manager, admin):
    admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ships.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "ships", "kind": "Ship"}, "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
    client = manager.client("metadata-informers", f"system:{MANAGER}")  # its user may list and watch whatever there is
    until(lambda: client.raw("GET", "/apis/example.com/v1/ships").status == 200, what="serving ships")
    found = list(resources(client))
    names = {r["resource"] for _, r in found}
    assert names >= {"pods", "deployments", "ships", "apiservices", "servicecidrs", "resourceslices", "volumeattributesclasses"}
    for prefix, resource in found:
        listed = client.get(prefix, accept="application/json")
        own = next(r for r in listed["resources"] if r["name"] == resource["resource"])
        assert set(own["verbs"]) == set(resource["verbs"]) and own["kind"] == resource["responseKind"]["kind"]
        with client.informer(f"{prefix}/{resource['resource']}", accept=metadata_only()) as informer:
            assert all(set(obj) <= {"apiVersion", "kind", "metadata"} for obj in informer.items.values())
    listed = client.get("/api/v1/namespaces", accept=metadata_only("PartialObjectMetadataList"), query={"limit": "500", "resourceVersion": "0"})
    assert listed["kind"] == "PartialObjectMetadataList" and "kube-system" in [i["metadata"]["name"] for i in listed["items"]]


def test_replicasets_make_adopt_and_release_pods(manager, admin, namespace):
    base, apps = f"/api/v1/namespaces/{namespace}/pods", f"/apis/apps/v1/namespaces/{namespace}"
    deployments, replicasets = manager.as_("deployment-controller"), manager.as_("replicaset-controller")
    made = admin.post(f"{apps}/deployments", workload("apps/v1", "Deployment", replicas=1))
    rs = workload("apps/v1", "ReplicaSet", replicas=1)
    rs["metadata"] |= {"name": "web-5d4", "ownerReferences": [owner(made)], "annotations": {"deployment.kubernetes.io/revision": "1"}}
    rs = deployments.post(f"{apps}/replicasets", rs)
    body = {"apiVersion": "v1", "kind": "Pod", **template(generateName="web-5d4-", ownerReferences=[owner(rs)])}
    pod = replicasets.post(base, body)
    assert pod["metadata"]["name"].startswith("web-5d4-") and pod["spec"]["serviceAccountName"] == "default"
    assert deployments.call("POST", base, body, status=403)["reason"] == "Forbidden"
    # blockOwnerDeletion asks for update of the owner's finalizers
    job = manager.as_("job-controller").call("POST", base, body, status=403)
    assert "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on" in job["message"]
    uid = pod["metadata"]["uid"]
    released = replicasets.patch(f"{base}/{pod['metadata']['name']}", {"metadata": {
        "uid": uid, "ownerReferences": [{"$patch": "delete", "uid": rs["metadata"]["uid"]}]}})
    assert "ownerReferences" not in released["metadata"]
    adopted = replicasets.patch(f"{base}/{pod['metadata']['name']}", {"metadata": {"uid": uid, "ownerReferences": [owner(rs)]}})
    assert adopted["metadata"]["ownerReferences"] == [owner(rs)]
    replicasets.put(f"{base}/{pod['metadata']['name']}", adopted, status=403)
    status = {"replicas": 1, "fullyLabeledReplicas": 1, "observedGeneration": 1}
    told = replicasets.put(f"{apps}/replicasets/web-5d4/status", rs | {"status": status})
    assert told["status"] == status and told["metadata"]["generation"] == 1
    scaled = deployments.put(f"{apps}/replicasets/web-5d4", told | {"spec": told["spec"] | {"replicas": 2}})
    assert scaled["metadata"]["generation"] == 2 and scaled["status"] == status
    progress = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1, "conditions": [
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetCreated", "message": "Created", "lastUpdateTime": now(),
         "lastTransitionTime": now()}]}
    assert deployments.put(f"{apps}/deployments/web/status", made | {"status": progress})["status"] == progress
    at = now()
    deployments.post(f"/api/v1/namespaces/{namespace}/events", {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.18a", "namespace": namespace}, "reason": "ScalingReplicaSet",
        "involvedObject": {"kind": "Deployment", "namespace": namespace, "name": "web"}, "message": "Scaled up", "type": "Normal",
        "source": {"component": "deployment-controller"}, "firstTimestamp": at, "lastTimestamp": at, "count": 1, "eventTime": None})
    replicasets.delete(f"{base}/{pod['metadata']['name']}")

    scaler = manager.as_("horizontal-pod-autoscaler")
    scale = scaler.get(f"{apps}/deployments/web/scale")
    assert scale["kind"] == "Scale" and scale["status"]["selector"] == "app=web"
    assert scaler.put(f"{apps}/deployments/web/scale", scale | {"spec": {"replicas": 3}})["spec"] == {"replicas": 3}
    assert manager.as_("disruption-controller").get(f"{apps}/deployments/web/scale")["spec"] == {"replicas": 3}
    manager.as_("disruption-controller").put(f"{apps}/deployments/web/scale", scale, status=403)


def test_statefulsets_daemonsets_and_jobs(manager, admin, namespace):
    base, apps, batch = f"/api/v1/namespaces/{namespace}", f"/apis/apps/v1/namespaces/{namespace}", f"/apis/batch/v1/namespaces/{namespace}"
    for kind, controller in (("StatefulSet", "statefulset-controller"), ("DaemonSet", "daemon-set-controller")):
        client, plural = manager.as_(controller), f"{kind.lower()}s"
        made = admin.post(f"{apps}/{plural}", workload("apps/v1", kind))
        revision = client.post(f"{apps}/controllerrevisions", {
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {"spec": {"template": {"$patch": "replace"}}},
            "metadata": {"name": f"{plural}-1", "labels": {"app": "web"}, "ownerReferences": [owner(made)]}})
        assert revision["data"] == {"spec": {"template": {"$patch": "replace"}}}
        patched = client.patch(f"{apps}/controllerrevisions/{plural}-1", {"metadata": {"labels": {"controller-revision-hash": "x"}}})
        assert patched["metadata"]["labels"]["controller-revision-hash"] == "x"
        pod = {"apiVersion": "v1", "kind": "Pod", **template(name=f"{plural}-0", ownerReferences=[owner(made)])}
        made_pod = client.post(f"{base}/pods", pod)
        status = {"observedGeneration": 1, "replicas": 1, "currentRevision": "a", "updateRevision": "a", "collisionCount": 0,
                  "availableReplicas": 0} if kind == "StatefulSet" else {
                  "observedGeneration": 1, "currentNumberScheduled": 1, "numberMisscheduled": 0, "desiredNumberScheduled": 1, "numberReady": 0}
        assert client.put(f"{apps}/{plural}/web/status", made | {"status": status})["status"]["observedGeneration"] == 1
        client.put(f"{base}/pods/{plural}-0", made_pod, status=200 if kind == "StatefulSet" else 403)
        client.delete(f"{base}/pods/{plural}-0")
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-web-0"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    manager.as_("statefulset-controller").post(f"{base}/persistentvolumeclaims", claim)

    jobs, cronjobs = manager.as_("job-controller"), manager.as_("cronjob-controller")
    cron = admin.post(f"{batch}/cronjobs", {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "often"}, "spec": {
        "schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": template()["spec"] | {"restartPolicy": "Never"}}}}}})
    job = cronjobs.post(f"{batch}/jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {
        "name": "often-1", "ownerReferences": [owner(cron)]}, "spec": cron["spec"]["jobTemplate"]["spec"]})
    cronjobs.put(f"{batch}/cronjobs/often/status", cron | {"status": {"lastScheduleTime": now(), "active": [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "often-1", "namespace": namespace, "uid": job["metadata"]["uid"]}]}})
    tracking = "batch.kubernetes.io/job-tracking"
    pod = jobs.post(f"{base}/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {
        "generateName": "often-1-", "labels": job["spec"]["template"]["metadata"]["labels"], "finalizers": [tracking],
        "ownerReferences": [owner(job)]}, "spec": job["spec"]["template"]["spec"]})
    counted = {"active": 1, "ready": 0, "terminating": 0, "startTime": now(), "uncountedTerminatedPods": {}}
    assert jobs.put(f"{batch}/jobs/often-1/status", job | {"status": counted})["status"]["active"] == 1
    freed = jobs.patch(f"{base}/pods/{pod['metadata']['name']}", {"metadata": {
        "$deleteFromPrimitiveList/finalizers": [tracking], "$setElementOrder/finalizers": [], "uid": pod["metadata"]["uid"]}})
    assert "finalizers" not in freed["metadata"]
    cronjobs.delete(f"{batch}/jobs/often-1", {"propagationPolicy": "Background"})
    jobs.delete(f"{batch}/cronjobs/often", status=403)


def test_endpoints_quota_and_disruption(manager, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}"
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    service = admin.post(f"{base}/services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    endpoint = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web", "labels": {
        "endpoints.kubernetes.io/managed-by": "endpoint-controller"}},
        "subsets": [{"addresses": [{"ip": "10.244.0.4"}], "ports": [{"port": 8080, "protocol": "TCP"}]}]}
    made = manager.as_("endpoint-controller").post(f"{base}/endpoints", endpoint)
    assert "subsets" not in manager.as_("endpoint-controller").put(f"{base}/endpoints/web", {k: v for k, v in made.items() if k != "subsets"})
    part = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "metadata": {
        "generateName": "web-", "ownerReferences": [owner(service)], "labels": {
            "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
        "endpoints": [{"addresses": ["10.244.0.4"], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]}
    slicer = manager.as_("endpointslice-controller")
    made = slicer.post(slices, part)
    assert made["ports"] == part["ports"] and made["endpoints"] == part["endpoints"]
    assert slicer.put(f"{slices}/{made['metadata']['name']}", made | {"endpoints": []}).get("endpoints", []) == []
    slicer.delete(f"{slices}/{made['metadata']['name']}")
    manager.as_("endpoint-controller").post(slices, part, status=403)

    quota = admin.post(f"{base}/resourcequotas", {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "most"},
                                                  "spec": {"hard": {"pods": "5"}}})
    told = manager.as_("resourcequota-controller").put(f"{base}/resourcequotas/most/status", quota | {
        "status": {"hard": {"pods": "5"}, "used": {"pods": "0"}}})
    assert told["status"] == {"hard": {"pods": "5"}, "used": {"pods": "0"}}
    budgets, disruption = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets", manager.as_("disruption-controller")
    budget = admin.post(budgets, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": {
        "minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}})
    status = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 1, "expectedPods": 1, "conditions": [
        {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "", "lastTransitionTime": now(), "observedGeneration": 1}]}
    assert disruption.put(f"{budgets}/web/status", budget | {"status": status})["status"] == status
