"""Upstream's kubelet, replayed call by call: what it sends in its default configuration, and what it needs to hear."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.clients.go_client import JSON_PATCH, STRATEGIC, GoClient, Refused
from tests.clients.serving import until

from kubewheel.apiserver.options import Options
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls

SERVED = {"nodes": 0, "options": Options(enable_admission_plugins=("NodeRestriction",))}
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"


def now(micro=False):
    return clocks.rfc3339_micro(clocks.RealClock().now()) if micro else clocks.rfc3339(clocks.RealClock().now())


def allowed(client, path):
    """The object, once the authorizer has seen what binds it to the node: it follows by a moment, and the kubelet asks again."""
    until(lambda: client.raw("GET", path).status != 403, what=f"GET {path}")
    return client.get(path)


@pytest.fixture(scope="module")
def go(served, tmp_path_factory):
    """Makes clients; closes them."""
    made = []

    def client(*args, **kwargs):
        made.append(GoClient(served, *args, folder=tmp_path_factory.mktemp("go"), **kwargs))
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def admin(go):
    return go("kubectl", "admin", "system:masters")


@pytest.fixture(scope="module")
def n1(go):
    """The kubelet of node n1, registered."""
    kubelet = go("kubelet", "system:node:n1", "system:nodes")
    kubelet.node = kubelet.post("/api/v1/nodes", node("n1"))
    return kubelet


def node(name):
    return {"kind": "Node", "apiVersion": "v1", "metadata": {
        "name": name, "creationTimestamp": None,
        "labels": {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                   "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
        "spec": {}, "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": kind, "status": "True" if kind == "Ready" else "False", "lastHeartbeatTime": now(),
                            "lastTransitionTime": now(), "reason": f"Kubelet{kind}", "message": "as told"}
                           for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")],
            "addresses": [{"type": "InternalIP", "address": "192.0.2.11"}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {"machineID": "m", "systemUUID": "s", "bootID": "b", "kernelVersion": "6", "osImage": "linux",
                         "containerRuntimeVersion": "containerd://2.1.0", "kubeletVersion": "v1.36.0", "kubeProxyVersion": "",
                         "operatingSystem": "linux", "architecture": "amd64"}}}


def pod(name, namespace, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "nodeName": "n1", "containers": [{"name": "main", "image": "example/web:1"}], **spec}}


def certificate_request(name, signer, usages, *, common="system:node:n2", hosts=()):
    """(what kubelet posts, its key): an ECDSA key, as its certificate manager makes."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(tls.name_of(common, ["system:nodes"]))
    if hosts:
        builder = builder.add_extension(tls.san_of(hosts, ["192.0.2.12"]), critical=False)
    made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    meta = {"name": name} if name else {"generateName": "csr-"}
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"kind": "CertificateSigningRequest", "apiVersion": "certificates.k8s.io/v1", "metadata": meta, "spec": {
        "request": base64.b64encode(made).decode(), "signerName": signer, "usages": usages}, "status": {}}, pem


def test_tls_bootstrap_and_rotation(served, go, admin):
    admin.post("/api/v1/namespaces/kube-system/secrets", {
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef"}, "stringData": {
            "token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true", "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}})
    joining = go("kubelet", token="abcdef.0123456789abcdef")
    until(lambda: joining.raw("GET", f"{CSRS}/none").status == 404, what="knowing the token")  # 401 before
    body, key = certificate_request("node-csr-3hQ", "kubernetes.io/kube-apiserver-client-kubelet", ["digital signature", "client auth"])
    asked = joining.post(CSRS, body)
    assert asked["spec"]["username"] == "system:bootstrap:abcdef"
    again = joining.call("POST", CSRS, body, status=409)
    assert again["reason"] == "AlreadyExists" and joining.get(f"{CSRS}/node-csr-3hQ")["spec"] == asked["spec"]
    with joining.informer(CSRS, fieldSelector="metadata.name=node-csr-3hQ") as own:
        signed = own.items.get(("", "node-csr-3hQ"), asked)
        if not signed["status"].get("certificate"):
            signed = own.until(lambda _, obj: obj["status"].get("certificate"))
    assert [c["type"] for c in signed["status"]["conditions"]] == ["Approved"]
    joining.get("/api/v1/nodes/n2", status=404)  # kubeadm:get-nodes
    joining.get("/api/v1/nodes", status=403)
    joining.get("/api/v1/pods", status=403, query={"fieldSelector": "spec.nodeName=n2"})

    n2 = go("kubelet", pair=tls.KeyPair(base64.b64decode(signed["status"]["certificate"]), key))
    assert n2.post("/api/v1/nodes", node("n2"))["metadata"]["name"] == "n2"
    body, key = certificate_request("", "kubernetes.io/kube-apiserver-client-kubelet", ["digital signature", "client auth"])
    renewed = n2.post(CSRS, body)
    assert renewed["metadata"]["name"].startswith("csr-") and renewed["spec"]["groups"] == ["system:nodes", "system:authenticated"]
    with n2.watch(CSRS, fieldSelector=f"metadata.name={renewed['metadata']['name']}", resourceVersion="0") as own:
        signed = own.until(lambda _, obj: obj["status"].get("certificate"))
    renewing = go("kubelet", pair=tls.KeyPair(base64.b64decode(signed["status"]["certificate"]), key))
    assert renewing.get("/api/v1/nodes/n2", query={"resourceVersion": "0"})["metadata"]["name"] == "n2"


def test_serving_certificates_wait_for_an_administrator(go, admin, n1):
    body, _ = certificate_request("", "kubernetes.io/kubelet-serving", ["digital signature", "server auth"],
                                  common="system:node:n1", hosts=["n1"])
    asked = n1.post(CSRS, body)
    path = f"{CSRS}/{asked['metadata']['name']}"
    condition = {"type": "Approved", "status": "True", "reason": "KubectlApprove", "message": "looked at"}
    assert n1.call("PUT", f"{path}/approval", asked | {"status": {"conditions": [condition]}}, status=403)["code"] == 403
    with n1.informer(CSRS, fieldSelector=f"metadata.name={asked['metadata']['name']}") as own:
        assert own.items["", asked["metadata"]["name"]]["status"] == {}
        admin.put(f"{path}/approval", asked | {"status": {"conditions": [condition]}})
        signed = own.until(lambda _, obj: obj["status"].get("certificate"))
    made = x509.load_pem_x509_certificate(base64.b64decode(signed["status"]["certificate"]))
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["n1"]


def test_node_registration_status_and_lease(served, n1):
    assert n1.node["metadata"]["uid"] and n1.node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.0"
    assert n1.call("POST", "/api/v1/nodes", node("n1"), status=409)["reason"] == "AlreadyExists"
    seen = n1.get("/api/v1/nodes/n1", query={"resourceVersion": "0"})
    with n1.informer("/api/v1/nodes", fieldSelector="metadata.name=n1") as own:
        assert own.names == ["n1"]
        n1.patch("/api/v1/nodes/n1", {"metadata": {"labels": {"node.kubernetes.io/instance-type": "large"}}})
        own.until(lambda kind, obj: kind == "MODIFIED" and "node.kubernetes.io/instance-type" in obj["metadata"]["labels"])
    beat = "2031-01-01T00:00:00Z"
    order = [{"type": c["type"]} for c in seen["status"]["conditions"]]
    told = n1.patch("/api/v1/nodes/n1/status", {"status": {
        "$setElementOrder/conditions": order,
        "conditions": [*({"lastHeartbeatTime": beat, **o} for o in order[:-1]),
                       {"lastHeartbeatTime": beat, "message": "kubelet is posting ready status", "type": "Ready"}],
        "images": [{"names": ["example/web@sha256:0", "example/web:1"], "sizeBytes": 100000}],
        "addresses": [{"address": "192.0.2.11", "type": "InternalIP"}, {"address": "2001:db8::11", "type": "InternalIP"},
                      {"address": "n1", "type": "Hostname"}, {"$patch": "replace"}],
        "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}}],
        "volumesInUse": ["kubernetes.io/csi/example^1"]}})
    assert [c["type"] for c in told["status"]["conditions"]] == [o["type"] for o in order]
    assert {c["lastHeartbeatTime"] for c in told["status"]["conditions"]} == {beat}
    assert [c.get("reason") for c in told["status"]["conditions"]] == [c.get("reason") for c in seen["status"]["conditions"]]
    assert [a["address"] for a in told["status"]["addresses"]] == ["192.0.2.11", "2001:db8::11", "n1"]
    assert told["status"]["images"][0]["sizeBytes"] == 100000 and told["status"]["runtimeHandlers"][0]["features"]["userNamespaces"]

    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": n1.node["metadata"]["uid"]}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
             "metadata": {"name": "n1", "namespace": "kube-node-lease", "ownerReferences": [owner]},
             "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40, "renewTime": now(micro=True)}}
    assert n1.get(f"{LEASES}/n1", status=404)["reason"] == "NotFound"
    held = n1.post(LEASES, lease)
    renewed = n1.put(f"{LEASES}/n1", held | {"spec": held["spec"] | {"renewTime": "2031-01-01T00:00:00.123456Z"}})
    assert renewed["spec"]["renewTime"] == "2031-01-01T00:00:00.123456Z"
    assert n1.put(f"{LEASES}/n1", held, status=409)["reason"] == "Conflict"
    assert served.get("leases.coordination.k8s.io", "n1", namespace="kube-node-lease")["spec"] == renewed["spec"]

    csi = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {
        "name": "n1", "annotations": {"storage.alpha.kubernetes.io/migrated-plugins": "kubernetes.io/aws-ebs"},
        "ownerReferences": [owner]}, "spec": {"drivers": []}}
    made = n1.post(CSI_NODES, csi)
    driver = {"name": "csi.example.com", "nodeID": "n1", "topologyKeys": ["example.com/zone"], "allocatable": {"count": 8}}
    assert n1.put(f"{CSI_NODES}/n1", made | {"spec": {"drivers": [driver]}})["spec"]["drivers"] == [driver]
    assert n1.get(f"{CSI_NODES}/n1")["spec"]["drivers"] == [driver]


def test_a_node_touches_nothing_of_others(served, n1, go, namespace):
    go("kubelet", "system:node:n3", "system:nodes").post("/api/v1/nodes", node("n3"))
    base = f"/api/v1/namespaces/{namespace}"
    refused = [
        ("GET", "/api/v1/nodes/n3", None), ("GET", "/api/v1/nodes", None), ("GET", "/api/v1/pods", None),
        ("GET", f"{base}/secrets", None), ("GET", f"{base}/secrets/any", None), ("GET", f"{base}/configmaps/any", None),
        ("GET", f"{LEASES}/n3", None), ("GET", LEASES, None), ("GET", f"{CSI_NODES}/n3", None), ("GET", CSI_NODES, None),
        ("GET", f"{base}/persistentvolumeclaims/any", None), ("GET", "/api/v1/persistentvolumes", None),
        ("GET", "/apis/apps/v1/deployments", None), ("GET", "/api/v1/namespaces", None), ("GET", f"{base}/serviceaccounts", None),
        ("POST", f"{base}/pods", pod("bare", namespace)), ("POST", "/api/v1/nodes", node("n4")),
        ("POST", f"{base}/serviceaccounts/default/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                                                           "spec": {}})]
    for method, path, body in refused:
        assert n1.call(method, path, body, status=403)["reason"] == "Forbidden", path
    for what in ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
                 {"metadata": {"labels": {"node-restriction.kubernetes.io/team": "a"}}}):
        assert n1.patch("/api/v1/nodes/n1", what, status=403)["reason"] == "Forbidden"
    n1.patch("/api/v1/nodes/n3/status", {"status": {"images": []}}, status=403)
    n1.delete("/api/v1/nodes/n1", status=403)


def test_informers_and_what_pods_refer_to(n1, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}"
    for path in ("/api/v1/services", "/apis/node.k8s.io/v1/runtimeclasses", "/apis/storage.k8s.io/v1/csidrivers"):
        n1.informer(path).close()
    for kind in ("Secret", "ConfigMap"):
        for name in ("wanted", "other"):
            admin.post(f"{base}/{kind.lower()}s", {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}})
    with n1.informer("/api/v1/pods", fieldSelector="spec.nodeName=n1") as pods:
        admin.post(f"{base}/pods", pod("reader", namespace, volumes=[
            {"name": "s", "secret": {"secretName": "wanted"}}, {"name": "c", "configMap": {"name": "wanted"}}]))
        added = pods.until(lambda kind, obj: obj["metadata"]["name"] == "reader")
        assert added["spec"]["serviceAccountName"] == "default" and added["kind"] == "Pod"
        for resource in ("secrets", "configmaps"):
            with n1.informer(f"{base}/{resource}", fieldSelector="metadata.name=wanted") as one:
                assert one.names == ["wanted"]
                n1.get(f"{base}/{resource}/wanted")
                admin.patch(f"{base}/{resource}/wanted", {"metadata": {"labels": {"a": "b"}}})
                assert one.until(lambda kind, obj: kind == "MODIFIED")["metadata"]["labels"] == {"a": "b"}
            n1.get(f"{base}/{resource}/other", status=403)
            with pytest.raises(Refused, match="no relationship found"):
                n1.informer(f"{base}/{resource}", fieldSelector="metadata.name=other")
            with pytest.raises(Refused, match="No Object name found"):
                n1.informer(f"{base}/{resource}")
        with n1.informer(f"{base}/configmaps", fieldSelector="metadata.name=kube-root-ca.crt") as trusted:
            assert "BEGIN CERTIFICATE" in trusted.items[namespace, "kube-root-ca.crt"]["data"]["ca.crt"]
        gone = n1.delete(f"{base}/pods/reader", {"gracePeriodSeconds": 0, "preconditions": {"uid": added["metadata"]["uid"]}})
        assert gone["metadata"]["name"] == "reader"
        pods.until(lambda kind, obj: kind == "DELETED")
    assert n1.get(f"{base}/secrets/wanted", status=403)["reason"] == "Forbidden"


def test_pod_status_and_deletion(served, n1, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}"
    made = admin.post(f"{base}/pods", pod("web", namespace))
    uid, started = made["metadata"]["uid"], now()
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    old = [c["type"] for c in made["status"].get("conditions", ())]
    order = [{"type": k} for k in kinds]
    told = n1.patch(f"{base}/pods/web/status", {"metadata": {"uid": uid}, "status": {
        "$setElementOrder/conditions": order,
        "conditions": [{"lastProbeTime": None, "lastTransitionTime": started, "observedGeneration": 1, "status": "True", "type": k}
                       for k in kinds if k not in old],
        "containerStatuses": [{"allocatedResources": {}, "containerID": "containerd://1", "image": "example/web:1",
                               "imageID": "example/web@sha256:0", "lastState": {}, "name": "main", "ready": True, "resources": {},
                               "restartCount": 0, "started": True, "state": {"running": {"startedAt": started}}}],
        "hostIP": "192.0.2.11", "hostIPs": [{"ip": "192.0.2.11"}], "observedGeneration": 1, "phase": "Running",
        "podIP": "10.244.0.9", "podIPs": [{"ip": "10.244.0.9"}], "startTime": started}})["status"]
    assert [c["type"] for c in told["conditions"]] == list(kinds) and told["podIPs"] == [{"ip": "10.244.0.9"}]
    assert told["phase"] == "Running" and told["startTime"] == started and told["containerStatuses"][0]["started"]
    other = n1.raw("PATCH", f"{base}/pods/web/status", {"metadata": {"uid": "another"}, "status": {"phase": "Failed"}},
                   content_type=STRATEGIC)
    assert other.status in (409, 422) and served.get("pods", "web", namespace=namespace)["status"]["phase"] == "Running"
    n1.patch(f"{base}/pods/web/status", {"metadata": {"labels": {"a": "b"}}}, status=403)
    n1.patch(f"{base}/pods/web", {"metadata": {"annotations": {"a": "b"}}}, status=403)
    admin.delete(f"{base}/pods/web")
    ended = n1.get(f"{base}/pods/web")
    assert ended["metadata"]["deletionGracePeriodSeconds"] == 30
    wrong = n1.delete(f"{base}/pods/web", {"gracePeriodSeconds": 0, "preconditions": {"uid": "another"}}, status=409)
    assert "the UID in the precondition (another) does not match the UID in record" in wrong["message"]
    n1.delete(f"{base}/pods/web", {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})
    assert admin.get(f"{base}/pods/web", status=404)["reason"] == "NotFound"


def test_mirror_pods(n1, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}/pods"
    mirror = pod("static-n1", namespace, tolerations=[{"operator": "Exists", "effect": "NoExecute"}])
    mirror["metadata"] |= {"annotations": {f"kubernetes.io/config.{k}": "abc" if k != "source" else "file"
                                           for k in ("hash", "mirror", "source", "seen")},
                           "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "controller": True,
                                                "uid": n1.node["metadata"]["uid"]}]}
    made = n1.post(base, mirror)
    assert made["spec"].get("serviceAccountName", "") == "" and made["spec"]["nodeName"] == "n1"
    n1.post(base, mirror, status=409)
    n1.patch(f"{base}/static-n1/status", {"metadata": {"uid": made["metadata"]["uid"]}, "status": {"phase": "Running"}})
    n1.delete(f"{base}/static-n1", {"gracePeriodSeconds": 0, "preconditions": {"uid": made["metadata"]["uid"]}})
    admin.get(f"{base}/static-n1", status=404)


def test_events_are_posted_and_counted(n1, namespace):
    at, path = now(), f"/api/v1/namespaces/{namespace}/events"
    event = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "web.18a", "namespace": namespace},
             "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web", "uid": "u", "apiVersion": "v1",
                                "fieldPath": "spec.containers{main}"},
             "reason": "BackOff", "message": "Back-off restarting failed container", "type": "Warning", "count": 1,
             "source": {"component": "kubelet", "host": "n1"}, "firstTimestamp": at, "lastTimestamp": at, "eventTime": None,
             "reportingComponent": "kubelet", "reportingInstance": "n1"}
    assert n1.post(path, event)["involvedObject"]["fieldPath"] == "spec.containers{main}"
    counted = n1.patch(f"{path}/web.18a", {"count": 2, "lastTimestamp": "2031-01-01T00:00:00Z"})
    assert counted["count"] == 2 and counted["firstTimestamp"] == at
    assert n1.patch(f"{path}/gone", {"count": 2}, status=404)["reason"] == "NotFound"  # the recorder posts it anew then
    n1.get(path, status=403)


def token_request(bound=None, *audiences):
    spec = {"audiences": list(audiences), "expirationSeconds": 3607, "boundObjectRef": bound}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
            "spec": {k: v for k, v in spec.items() if v}}


def test_tokens_for_pods_and_reviews_at_its_port(go, n1, admin, namespace):
    base = f"/api/v1/namespaces/{namespace}"
    made = admin.post(f"{base}/pods", pod("worker", namespace, volumes=[{"name": "t", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 3607}}]}}]))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "worker", "uid": made["metadata"]["uid"]}
    path = f"{base}/serviceaccounts/default/token"
    assert n1.get(f"{base}/serviceaccounts/default")["metadata"]["name"] == "default"
    token = n1.post(path, token_request(bound))["status"]["token"]
    assert n1.post(path, token_request(bound, "vault"))["status"]["token"].count(".") == 2
    for wrong in (token_request(), token_request(bound | {"uid": "another"}), token_request(bound, "elsewhere"),
                  token_request(bound | {"kind": "Secret"})):
        assert n1.call("POST", path, wrong, status=403)["reason"] == "Forbidden", wrong
    review = n1.post("/apis/authentication.k8s.io/v1/tokenreviews", {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token}})
    assert review["status"]["authenticated"] and review["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert review["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["worker"]
    for groups, allowed in ((["system:masters"], True), (["system:authenticated"], False)):
        review = n1.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {
                "user": "someone", "groups": groups, "resourceAttributes": {
                    "verb": "get", "version": "v1", "resource": "nodes", "subresource": "metrics", "name": "n1"}}})
        assert review["status"].get("allowed", False) is allowed
    inside = go("web", token=token)
    assert inside.get("/version", accept="application/json")["major"] == "1"
    inside.get("/api/v1/nodes/n1", status=403)


def test_volumes_and_devices(n1, admin, namespace):
    base, resources = f"/api/v1/namespaces/{namespace}", "/apis/resource.k8s.io/v1"
    admin.post("/api/v1/persistentvolumes", {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-go"}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none",
        "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": "data"},
        "csi": {"driver": "csi.example.com", "volumeHandle": "1"}}})
    n1.get("/api/v1/persistentvolumes/pv-go", status=403)
    admin.post(f"{base}/persistentvolumeclaims", {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "volumeName": "pv-go", "resources": {"requests": {"storage": "1Gi"}}}})
    claim = {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}
    admin.post(f"{resources}/namespaces/{namespace}/resourceclaims", {
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "gpu"}, "spec": {"devices": claim}})
    admin.post(f"{base}/pods", pod("user", namespace, resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}], volumes=[
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]))
    assert allowed(n1, f"{base}/persistentvolumeclaims/data")["spec"]["volumeName"] == "pv-go"
    assert allowed(n1, "/api/v1/persistentvolumes/pv-go")["spec"]["csi"]["volumeHandle"] == "1"
    assert allowed(n1, f"{resources}/namespaces/{namespace}/resourceclaims/gpu")["spec"]["devices"]["requests"][0]["name"] == "gpu"
    attachment = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "spec": {
        "attacher": "csi.example.com", "source": {"persistentVolumeName": "pv-go"}}}
    for name, node_name in (("csi-1", "n1"), ("csi-2", "n9")):
        admin.post("/apis/storage.k8s.io/v1/volumeattachments", attachment | {
            "metadata": {"name": name}, "spec": attachment["spec"] | {"nodeName": node_name}})
    assert allowed(n1, "/apis/storage.k8s.io/v1/volumeattachments/csi-1")["spec"]["nodeName"] == "n1"
    n1.get("/apis/storage.k8s.io/v1/volumeattachments/csi-2", status=403)
    part = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "n1-gpus"}, "spec": {
        "driver": "gpu.example.com", "nodeName": "n1", "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu-0", "attributes": {"model": {"string": "a"}}, "capacity": {"memory": {"value": "8Gi"}}}]}}
    assert n1.post(f"{resources}/resourceslices", part)["spec"]["devices"][0]["capacity"]["memory"]["value"] == "8Gi"
    with n1.informer(f"{resources}/resourceslices", fieldSelector="spec.nodeName=n1") as slices:
        assert slices.names == ["n1-gpus"]
        n1.call("DELETE", f"{resources}/resourceslices", {"kind": "DeleteOptions", "apiVersion": "v1"},
                query={"fieldSelector": "spec.driver=gpu.example.com,spec.nodeName=n1"})
        slices.until(lambda kind, obj: kind == "DELETED")
    n1.get(f"{resources}/resourceslices", status=403)
    n1.patch(f"{base}/persistentvolumeclaims/data/status", {"status": {"capacity": {"storage": "2Gi"}}})
    n1.patch(f"{base}/persistentvolumeclaims/data", [{"op": "remove", "path": "/metadata/finalizers"}], JSON_PATCH, status=403)


def test_pod_certificates(n1, go, admin, namespace):
    bundles, base = "/apis/certificates.k8s.io/v1/clustertrustbundles", f"/api/v1/namespaces/{namespace}"
    requests = f"/apis/certificates.k8s.io/v1/namespaces/{namespace}/podcertificaterequests"
    n1.informer(bundles).close()
    worker = admin.post(f"{base}/pods", pod("worker", namespace))
    account = n1.get(f"{base}/serviceaccounts/default")
    key = ec.generate_private_key(ec.SECP256R1())
    stub = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    stub = stub.public_bytes(serialization.Encoding.DER)
    spec = {"signerName": "example.com/pods", "podName": "worker", "podUID": worker["metadata"]["uid"], "nodeName": "n1",
            "serviceAccountName": "default", "serviceAccountUID": account["metadata"]["uid"], "nodeUID": n1.node["metadata"]["uid"],
            "maxExpirationSeconds": 86400, "stubPKCS10Request": base64.b64encode(stub).decode()}
    body = {"apiVersion": "certificates.k8s.io/v1", "kind": "PodCertificateRequest", "metadata": {
        "generateName": "req-worker-", "namespace": namespace, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": "worker", "uid": worker["metadata"]["uid"]}]}, "spec": spec}
    for wrong in ({"nodeName": "n9"}, {"podName": "none"}, {"podUID": "another"}, {"serviceAccountUID": "another"}, {"nodeUID": "another"}):
        assert n1.call("POST", requests, body | {"spec": spec | wrong}, status=403)["reason"] == "Forbidden", wrong
    all_requests = "/apis/certificates.k8s.io/v1/podcertificaterequests"
    with n1.informer(all_requests, fieldSelector="spec.nodeName=n1") as own:
        made = n1.post(requests, body)
        own.until(lambda kind, obj: obj["metadata"]["uid"] == made["metadata"]["uid"])
    name = made["metadata"]["name"]
    assert n1.get(f"{requests}/{name}")["spec"] == spec
    other = go("kubelet", "system:node:n5", "system:nodes")
    other.get(f"{requests}/{name}", status=403)
    for client, path, verb in ((n1, all_requests, "GET"), (n1, f"{requests}/{name}", "DELETE"), (other, requests, "GET")):
        client.call(verb, path, status=403)
    n1.patch(f"{requests}/{name}/status", {"status": {}}, status=403)
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "signer"}, "rules": [
            {"apiGroups": ["certificates.k8s.io"], "resources": ["podcertificaterequests/status"], "verbs": ["patch"]}]})
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "signer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "signer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "half-a-signer"}]})
    half, denied = go("signer", "half-a-signer"), {"status": {"conditions": [
        {"type": "Denied", "status": "True", "reason": "No", "message": "no", "lastTransitionTime": now()}]}}
    until(lambda: half.raw("PATCH", f"{requests}/{name}/status", denied, content_type=STRATEGIC).status == 422, what="the role")
    refused = half.patch(f"{requests}/{name}/status", denied, status=422)
    assert 'User "half-a-signer" is not permitted to "sign" for signer "example.com/pods"' in refused["message"]
    assert admin.patch(f"{requests}/{name}/status", denied)["status"]["conditions"][0]["type"] == "Denied"
