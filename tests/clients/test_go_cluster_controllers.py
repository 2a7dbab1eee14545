"""Upstream's kube-controller-manager, the controllers that look after nodes, volumes, certificates, namespaces and garbage."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.clients.go_client import APPLY, JSON_PATCH, MERGE, metadata_only
from tests.clients.go_controllers import Manager, owner, template

from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

SERVED = {"nodes": 0, "controllers": "", "scheduler": False}
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "status": {"conditions": [
    {"type": "Ready", "status": "True"}], "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}


def now():
    return clocks.rfc3339(clocks.RealClock().now())


@pytest.fixture(scope="module")
def manager(served, tmp_path_factory):
    made = Manager(served, tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def admin(manager):
    return manager.client("admin", "admin", "system:masters")


@pytest.fixture
def namespace(request, admin):
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50]
    admin.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    admin.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    return name


def test_nodes_are_tainted_and_their_pods_evicted(manager, admin, namespace):
    made, path = admin.post("/api/v1/nodes", NODE), "/api/v1/nodes/n1"
    lifecycle, base = manager.as_("node-controller"), f"/api/v1/namespaces/{namespace}/pods"
    addresses = lifecycle.patch(path, {"spec": {"podCIDR": "10.244.3.0/24", "podCIDRs": ["10.244.3.0/24"]}})
    assert addresses["spec"]["podCIDRs"] == ["10.244.3.0/24"]
    taint = {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "timeAdded": now()}
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "spec": {"taints": [taint]}}
    assert lifecycle.patch(path, stale, status=409)["reason"] == "Conflict"
    tainted = lifecycle.patch(path, {"metadata": {"resourceVersion": addresses["metadata"]["resourceVersion"]}, "spec": {"taints": [taint]}})
    assert taint in tainted["spec"]["taints"]
    unknown = [c | {"status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
               for c in tainted["status"]["conditions"]]
    told = lifecycle.put(f"{path}/status", tainted | {"status": tainted["status"] | {"conditions": unknown}})
    assert told["status"]["conditions"][0]["reason"] == "NodeStatusUnknown"
    assert lifecycle.put(path, told | {"spec": {**told["spec"], "taints": []}})["spec"].get("taints", []) == []
    manager.as_("ttl-controller").patch(path, {"metadata": {"annotations": {"node.alpha.kubernetes.io/ttl": "0"}}})
    attached = manager.as_("attachdetach-controller").patch(f"{path}/status", {"status": {"volumesAttached": [
        {"name": "kubernetes.io/csi/example^1", "devicePath": "csi-1"}]}})
    assert attached["status"]["volumesAttached"][0]["devicePath"] == "csi-1"
    manager.as_("attachdetach-controller").patch(path, {"spec": {"unschedulable": True}}, status=403)

    for controller, name, verb in (("node-controller", "tainted", "DeletionByTaintManager"), ("pod-garbage-collector", "orphan", "DeletionByPodGC"),
                                   ("device-taint-eviction-controller", "user", "DeletionByDeviceTaintManager")):
        client = manager.as_(controller)
        pod = admin.post(base, {"apiVersion": "v1", "kind": "Pod", **template(name=name, finalizers=["example.com/kept"])})
        disrupted = {"lastProbeTime": None, "lastTransitionTime": now(), "message": "because", "reason": verb, "status": "True",
                     "type": "DisruptionTarget", "observedGeneration": 1}
        told = client.patch(f"{base}/{name}/status", {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {
            "$setElementOrder/conditions": [{"type": "DisruptionTarget"}], "conditions": [disrupted], "phase": "Failed"}})
        assert [c["reason"] for c in told["status"]["conditions"]] == [verb] and told["status"]["phase"] == "Failed"
        ended = client.delete(f"{base}/{name}", {"gracePeriodSeconds": 0})
        assert ended["metadata"]["deletionTimestamp"] and ended["metadata"]["finalizers"] == ["example.com/kept"]
    assert lifecycle.delete(path)["details"]["name"] == "n1"


def test_garbage_is_collected_by_metadata_clients(manager, admin, namespace):
    maps, gc = f"/api/v1/namespaces/{namespace}/configmaps", manager.as_("generic-garbage-collector")
    parent = admin.post(maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "parent"}})
    children = [admin.post(maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": f"child-{i}", "ownerReferences": [owner(parent), owner(parent, name="gone", uid="gone", controller=False)]}}) for i in range(2)]

    def delete(name, uid, policy, status=200):
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}, "propagationPolicy": policy}
        return gc.call("DELETE", f"{maps}/{name}", body, status=status, content_type="application/json")

    seen = gc.get(f"{maps}/child-0", accept=metadata_only())
    assert seen["kind"] == "PartialObjectMetadata" and "data" not in seen and seen["metadata"]["uid"] == children[0]["metadata"]["uid"]
    kept = gc.patch(f"{maps}/child-0", {"metadata": {"uid": seen["metadata"]["uid"], "ownerReferences": [{"$patch": "delete", "uid": "gone"}]}},
                    accept=metadata_only())
    assert kept["kind"] == "PartialObjectMetadata" and [o["name"] for o in kept["metadata"]["ownerReferences"]] == ["parent"]
    assert delete("child-0", "another", "Background", 409)["reason"] == "Conflict"
    delete("child-0", seen["metadata"]["uid"], "Background")
    assert gc.get(f"{maps}/child-0", status=404, accept=metadata_only())["reason"] == "NotFound"
    delete("parent", parent["metadata"]["uid"], "Foreground")
    waiting = gc.get(f"{maps}/parent", accept=metadata_only())["metadata"]
    assert waiting["finalizers"] == ["foregroundDeletion"] and waiting["deletionTimestamp"]
    unblocked = gc.patch(f"{maps}/child-1", {"metadata": {"resourceVersion": children[1]["metadata"]["resourceVersion"], "ownerReferences": [
        owner(parent, blockOwnerDeletion=False)]}}, MERGE, accept=metadata_only())
    assert [o["name"] for o in unblocked["metadata"]["ownerReferences"]] == ["parent"]
    finished = {"metadata": {"resourceVersion": "1", "finalizers": []}}
    gc.patch(f"{maps}/parent", finished, MERGE, status=409, accept=metadata_only())
    finished["metadata"]["resourceVersion"] = waiting["resourceVersion"]
    gc.patch(f"{maps}/parent", finished, MERGE, accept=metadata_only())
    gc.get(f"{maps}/parent", status=404, accept=metadata_only())
    gc.call("POST", maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "none"}}, status=403)


def test_namespaces_end(manager, admin, namespace):
    client, path = manager.as_("namespace-controller"), f"/api/v1/namespaces/{namespace}"
    admin.post(f"{path}/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}})
    ended = admin.delete(path)
    assert ended["status"]["phase"] == "Terminating" and ended["spec"]["finalizers"] == ["kubernetes"]
    for resource in ("configmaps", "serviceaccounts", "pods"):
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        client.call("DELETE", f"{path}/{resource}", body, content_type="application/json")
        left = client.get(f"{path}/{resource}", accept=metadata_only("PartialObjectMetadataList"))
        assert left["kind"] == "PartialObjectMetadataList" and not left.get("items")
    condition = {"type": "NamespaceContentRemaining", "status": "False", "lastTransitionTime": now(), "reason": "ContentRemoved", "message": "All"}
    told = client.put(f"{path}/status", ended | {"status": ended["status"] | {"conditions": [condition]}})
    assert told["status"]["conditions"] == [condition]
    client.put(f"{path}/finalize", told | {"spec": {"finalizers": []}})
    admin.get(path, status=404)


def test_certificates_are_approved_and_signed(manager, admin, served):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = x509.CertificateSigningRequestBuilder().subject_name(tls.name_of("system:node:n7", ["system:nodes"])).sign(
        key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    made = admin.post(CSRS, {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "csr-1"}, "spec": {
        "request": base64.b64encode(pem).decode(), "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["digital signature", "client auth"]}})
    client = manager.as_("certificate-controller")
    review = client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
            "user": made["spec"]["username"], "groups": made["spec"]["groups"], "resourceAttributes": {
                "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create", "subresource": "nodeclient", "version": "*"}}})
    assert review["status"]["allowed"]
    condition = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": "Auto approving kubelet client certificate"}
    approved = client.put(f"{CSRS}/csr-1/approval", made | {"status": {"conditions": [condition]}})
    assert approved["status"]["conditions"][0]["reason"] == "AutoApproved" and approved["status"]["conditions"][0]["lastUpdateTime"]
    pair = tls.issue(served.cluster.authority(), "system:node:n7", organizations=["system:nodes"], now=clocks.RealClock().now(), client=True)
    signed = client.put(f"{CSRS}/csr-1/status", approved | {"status": approved["status"] | {
        "certificate": base64.b64encode(pair.cert).decode()}})
    assert base64.b64decode(signed["status"]["certificate"]) == pair.cert
    client.delete(f"{CSRS}/csr-1")
    client.post(CSRS, made, status=403)


def test_cleaners_publishers_and_migrations(manager, admin, served, namespace):
    requests = f"/apis/certificates.k8s.io/v1/namespaces/{namespace}/podcertificaterequests"
    cleaner = manager.as_("podcertificaterequestcleaner")
    cleaner.informer("/apis/certificates.k8s.io/v1/podcertificaterequests").close()
    assert cleaner.delete(f"{requests}/none", {"preconditions": {"uid": "a"}}, status=404)["reason"] == "NotFound"
    bundles = "/apis/certificates.k8s.io/v1/clustertrustbundles"
    publisher = manager.as_("kube-apiserver-serving-clustertrustbundle-publisher")
    made = publisher.post(bundles, {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle", "metadata": {
        "name": "kubernetes.io:kube-apiserver-serving:abc"}, "spec": {"signerName": "kubernetes.io/kube-apiserver-serving",
                                                                      "trustBundle": served.cluster.authority().cert.decode()}})
    other = {"name": "example.com:own:abc"}
    publisher.call("POST", bundles, made | {"metadata": other, "spec": made["spec"] | {"signerName": "example.com/own"}}, status=403)
    with publisher.informer(bundles, fieldSelector="spec.signerName=kubernetes.io/kube-apiserver-serving") as own:
        assert own.names == ["kubernetes.io:kube-apiserver-serving:abc"]
        publisher.delete(f"{bundles}/kubernetes.io:kube-apiserver-serving:abc")
        own.until(lambda kind, obj: kind == "DELETED")
    # storage version migration: a list for its version, an apply of nothing but identity for each object
    migrator, maps = manager.as_("storage-version-migrator-controller"), f"/api/v1/namespaces/{namespace}/configmaps"
    made = admin.post(maps, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}, "data": {"a": "1"}})
    assert migrator.get("/api/v1/configmaps", accept=metadata_only("PartialObjectMetadataList"), query={"limit": "1"})["metadata"]["resourceVersion"]
    same = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "namespace": namespace, "uid": made["metadata"]["uid"],
                                                                  "resourceVersion": made["metadata"]["resourceVersion"]}}
    name = "storage-version-migrator-controller"
    moved = applied(migrator, f"{maps}/old", same, name, accept=metadata_only())
    assert moved["metadata"]["uid"] == made["metadata"]["uid"] and admin.get(f"{maps}/old")["data"] == {"a": "1"}
    gone = same | {"metadata": same["metadata"] | {"name": "gone"}}
    assert applied(migrator, f"{maps}/gone", gone, name, accept=metadata_only(), status=409)["reason"] == "Conflict"
    migrations = "/apis/storagemigration.k8s.io"
    version = admin.get(migrations, accept="application/json")["preferredVersion"]["groupVersion"]
    wanted = admin.post(f"/apis/{version}/storageversionmigrations", {"apiVersion": version, "kind": "StorageVersionMigration", "metadata": {
        "name": "maps"}, "spec": {"resource": {"group": "", "resource": "configmaps"}}})
    running = {"type": "Running", "status": "True", "reason": "StorageVersionMigrationInProgress", "message": "", "lastTransitionTime": now()}
    told = migrator.put(f"/apis/{version}/storageversionmigrations/maps/status", wanted | {"status": {
        "conditions": [running], "resourceVersion": made["metadata"]["resourceVersion"]}})
    assert [c["type"] for c in told["status"]["conditions"]] == ["Running"]
    migrator.delete(f"{maps}/old", status=403)


def test_volumes_are_bound(manager, admin, namespace):
    claims, volumes = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", "/api/v1/persistentvolumes"
    binder = manager.as_("persistent-volume-binder")
    claim = admin.post(claims, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": "1Gi"}}}})
    volume = binder.post(volumes, {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-bound"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "csi": {"driver": "csi.example.com", "volumeHandle": "1"}}})
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": "data", "uid": claim["metadata"]["uid"],
                 "resourceVersion": claim["metadata"]["resourceVersion"]}
    volume["metadata"]["annotations"] = {"pv.kubernetes.io/bound-by-controller": "yes"}
    volume = binder.put(f"{volumes}/pv-bound", volume | {"spec": volume["spec"] | {"claimRef": reference}})
    assert binder.put(f"{volumes}/pv-bound/status", volume | {"status": {"phase": "Bound"}})["status"]["phase"] == "Bound"
    claim["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    bound = binder.put(f"{claims}/data", claim | {"spec": claim["spec"] | {"volumeName": "pv-bound"}})
    told = binder.put(f"{claims}/data/status", bound | {"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}})
    assert told["status"]["phase"] == "Bound" and told["spec"]["volumeName"] == "pv-bound"
    protected = manager.as_("pvc-protection-controller").put(f"{claims}/data", told | {"metadata": told["metadata"] | {"finalizers": []}})
    assert "finalizers" not in protected["metadata"]
    expander = manager.as_("expand-controller")
    expander.patch(f"{claims}/data/status", {"metadata": {"resourceVersion": protected["metadata"]["resourceVersion"]}, "status": {"conditions": [
        {"type": "Resizing", "status": "True", "lastTransitionTime": now(), "lastProbeTime": None}]}})
    expander.put(f"{claims}/data", protected, status=403)
    attachments = "/apis/storage.k8s.io/v1/volumeattachments"
    attacher = manager.as_("attachdetach-controller")
    attacher.post(attachments, {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "csi-abc"}, "spec": {
        "attacher": "csi.example.com", "nodeName": "n1", "source": {"persistentVolumeName": "pv-bound"}}})
    attacher.delete(f"{attachments}/csi-abc")


def applied(client, path, obj, manager_name, **how):
    """Apply, as the typed clients do: JSON as apply-patch+yaml, forced."""
    return client.patch(path, obj, APPLY, query={"fieldManager": manager_name, "force": "true"}, **how)


def test_what_is_applied(manager, admin):
    policies, roles = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    admin.post(policies, {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]},
        "validations": [{"expression": "object.spec.hostNetwork == 1"}]}})
    name = "validatingadmissionpolicy-status"
    warning = {"fieldRef": "spec.validations[0].expression", "warning": "found no matching overload"}
    told = applied(manager.as_(f"{name}-controller"), f"{policies}/p/status", {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"},
        "status": {"observedGeneration": 1, "typeChecking": {"expressionWarnings": [warning]}}}, name)
    assert told["status"]["typeChecking"]["expressionWarnings"] == [warning]
    assert (name, "Apply", "status") in [(f["manager"], f["operation"], f.get("subresource")) for f in told["metadata"]["managedFields"]]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = applied(manager.as_("clusterrole-aggregation-controller"), f"{roles}/view", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "view"}, "rules": rules},
        "clusterrole-aggregation-controller")
    assert role["rules"] == rules and role["aggregationRule"]
    cidrs, services = "/apis/networking.k8s.io/v1/servicecidrs", manager.as_("service-cidrs-controller")
    ready = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready", "lastTransitionTime": now()}
    admin.post(cidrs, {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}, "spec": {"cidrs": ["10.99.0.0/24"]}})
    made = applied(services, f"{cidrs}/more/status", {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"},
                                                      "status": {"conditions": [ready]}}, "service-cidrs-controller")
    assert made["status"]["conditions"] == [ready]
    held = services.patch(f"{cidrs}/more", {"metadata": {"finalizers": ["networking.k8s.io/service-cidr-finalizer"]}}, MERGE)
    assert held["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
    services.patch(f"{cidrs}/more", [{"op": "remove", "path": "/metadata/finalizers"}], JSON_PATCH)
    services.informer("/apis/networking.k8s.io/v1/ipaddresses").close()
    services.delete(f"{cidrs}/more", status=403)


def test_claims_for_pods(manager, admin, namespace):
    resource, client = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims", manager.as_("resource-claim-controller")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    body = {"apiVersion": "v1", "kind": "Pod", **template(name="user")}
    body["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]
    pod = admin.post(pods, body)
    claim = client.post(resource, {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {
        "generateName": "user-gpu-", "annotations": {"resource.kubernetes.io/pod-claim-name": "gpu"}, "ownerReferences": [owner(pod)]},
        "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}})
    name = claim["metadata"]["name"]
    told = applied(client, f"{pods}/user/status", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": namespace}, "status": {
        "resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": name}]}}, "ResourceClaimController")
    assert told["status"]["resourceClaimStatuses"] == [{"name": "gpu", "resourceClaimName": name}]
    assert client.put(f"{resource}/{name}/status", claim)["metadata"]["name"] == name
    client.delete(f"{resource}/{name}")
    manager.as_("ephemeral-volume-controller").post(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "user-scratch", "ownerReferences": [owner(pod)]}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
