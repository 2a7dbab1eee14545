"""Upstream's kube-proxy, replayed call by call: services and slices by labels, its own node, the service ranges, events."""

import pytest
from tests.clients.go_client import GoClient, Refused

from kubewheel.lib import clock as clocks

SERVED = {"nodes": 2, "scheduler": False}
SLICES, CIDRS = "/apis/discovery.k8s.io/v1/endpointslices", "/apis/networking.k8s.io/v1/servicecidrs"
# what other proxies look after, and what has no address, is not for it
PROXIED = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"


@pytest.fixture(scope="module")
def admin(served, tmp_path_factory):
    made = GoClient(served, "kubectl", "admin", "system:masters", folder=tmp_path_factory.mktemp("go"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def proxy(served, tmp_path_factory):
    made = GoClient(served, "kube-proxy", "system:kube-proxy", folder=tmp_path_factory.mktemp("go"))
    yield made
    made.close()


def test_services_and_slices_by_label(proxy, admin, namespace):
    path = f"/api/v1/namespaces/{namespace}/services"

    def service(name, **labels):
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": {
            "ports": [{"port": 80}], "selector": {"app": name}}}

    with proxy.informer("/api/v1/services", labelSelector=PROXIED) as services, \
            proxy.informer(SLICES, labelSelector=PROXIED) as slices:
        assert "kubernetes" in services.names and "kubernetes" in slices.names
        admin.post(path, service("other", **{"service.kubernetes.io/service-proxy-name": "mesh"}))
        admin.post(path, service("web"))
        assert services.until(lambda kind, _: kind == "ADDED")["metadata"]["name"] == "web"
        made = slices.until(lambda _, obj: obj["metadata"]["namespace"] == namespace)
        assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
        admin.patch(f"{path}/web", {"metadata": {"labels": {"service.kubernetes.io/service-proxy-name": "mesh"}}})
        assert services.until(lambda kind, _: kind == "DELETED")["metadata"]["name"] == "web"


def test_its_node_ranges_and_events(proxy):
    assert proxy.get("/api/v1/nodes/node-0")["metadata"]["name"] == "node-0"
    with proxy.informer("/api/v1/nodes", fieldSelector="metadata.name=node-0") as nodes, proxy.informer(CIDRS) as ranges:
        assert nodes.names == ["node-0"] and ranges.names == ["kubernetes"]
    at = clocks.rfc3339_micro(clocks.RealClock().now())
    proxy.post("/apis/events.k8s.io/v1/namespaces/default/events", {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "node-0.18a", "namespace": "default"}, "eventTime": at,
        "reportingController": "kube-proxy", "reportingInstance": "kube-proxy-node-0", "action": "StartKubeProxy", "reason": "Starting",
        "regarding": {"kind": "Node", "name": "node-0", "uid": "node-0"}, "type": "Normal"})


def test_nothing_else(proxy):
    for path in ("/api/v1/pods", "/api/v1/secrets", "/api/v1/configmaps", "/apis/apps/v1/deployments"):
        with pytest.raises(Refused, match="cannot watch resource"):
            proxy.informer(path)
    proxy.patch("/api/v1/nodes/node-0/status", {"status": {"images": []}}, status=403)
    proxy.get("/api/v1/namespaces/default/services/kubernetes", status=403)  # it lists and watches
