"""Services, load spreading, cluster DNS."""

import subprocess
import urllib.request

from tests.e2e.support import SLEEP, client_pod, fetch, pod, web


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode().strip()


def test_cluster_ip_and_node_port(kubectl):
    kubectl.apply(web("web", 2), client_pod())
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080", "--type=NodePort")
    service = kubectl.json("get", "service", "web")["spec"]
    node = kubectl.json("get", "nodes")["items"][0]["status"]["addresses"][0]["address"]
    kubectl.until(lambda: reachable(f"http://{service['clusterIP']}/"), what="the cluster IP answers from the host")
    seen = {get(f"http://{service['clusterIP']}/") for _ in range(40)}
    assert len(seen) == 2, seen
    for host in (node, "127.0.0.1"):
        assert get(f"http://{host}:{service['ports'][0]['nodePort']}/") in seen
    kubectl.ready("client")
    assert set(fetch(kubectl, "http://web/", times=40)) == seen


def reachable(url):
    try:
        return bool(get(url, 2))
    except OSError:
        return False


def test_a_deleted_pod_gets_no_traffic(kubectl):
    kubectl.apply(web("web", 2))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080")
    address = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    kubectl.until(lambda: reachable(f"http://{address}/"), what="the service answers")
    victim = kubectl.json("get", "pods", "-l", "app=web")["items"][0]["metadata"]["name"]
    kubectl("delete", "pod", victim)
    assert all(get(f"http://{address}/") != victim for _ in range(30))


def test_service_without_endpoints_refuses(kubectl):
    kubectl("create", "service", "clusterip", "none", "--tcp=80:80")
    address = kubectl.json("get", "service", "none")["spec"]["clusterIP"]

    def refused():
        try:
            get(f"http://{address}/", 3)
        except OSError as e:
            return "refused" in str(e)

    kubectl.until(refused, what="the connection is refused")


def test_pods_are_refused_at_once_too(kubectl):
    """The host tells a pod so with ICMP messages, of which the kernel sends few: none may go to other news."""
    kubectl("create", "service", "clusterip", "none", "--tcp=80:80")
    kubectl.apply(pod("tools", *SLEEP))
    kubectl("wait", "--for=condition=Ready", "pod/tools", "--timeout=60s")
    address = kubectl.json("get", "service", "none")["spec"]["clusterIP"]
    kubectl.until(lambda: "refused" in kubectl("exec", "tools", "--", "sh", "-c", f"timeout 2 wget -qO- http://{address}/ 2>&1; true"),
                  what="the connection is refused")
    said = kubectl("exec", "tools", "--", "sh", "-c",
                   f"for i in 1 2 3 4 5 6 7 8 9 10 11 12; do timeout 3 wget -qO- http://{address}/ 2>&1; done; true")
    assert said.count("refused") == 12, said


def test_endpoints_written_by_hand(kubectl):
    """A Service without a selector leads where its Endpoints say."""
    kubectl.apply(web("web", 1), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "manual"}, "spec": {
        "ports": [{"port": 80}]}})
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    address = kubectl.json("get", "pods", "-l", "app=web")["items"][0]["status"]["podIP"]
    kubectl.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "manual"}, "subsets": [
        {"addresses": [{"ip": address}], "ports": [{"port": 8080}]}]})
    virtual = kubectl.json("get", "service", "manual")["spec"]["clusterIP"]
    kubectl.until(lambda: reachable(f"http://{virtual}/"), what="the service answers")


def test_dns(kubectl):
    kubectl.apply(web("web", 2), client_pod(), pod("tools", *SLEEP))
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080")
    kubectl("create", "service", "clusterip", "heads", "--clusterip=None", "--tcp=80:8080")
    kubectl("set", "selector", "service/heads", "app=web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.ready("client")
    address = kubectl.json("get", "service", "web")["spec"]["clusterIP"]
    kubectl.ready("tools")
    out = kubectl("exec", "tools", "--", "nslookup", "-type=a", f"web.{kubectl.namespace}.svc.cluster.local")
    assert address in out, out
    for name in ("web", f"web.{kubectl.namespace}", f"web.{kubectl.namespace}.svc.cluster.local"):
        assert fetch(kubectl, f"http://{name}/")[0].startswith("web-")
    ips = {p["status"]["podIP"] for p in kubectl.json("get", "pods", "-l", "app=web")["items"]}
    out = kubectl("exec", "tools", "--", "nslookup", "-type=a", f"heads.{kubectl.namespace}.svc.cluster.local")
    assert all(ip in out for ip in ips), out
    assert "ndots:5" in kubectl("exec", "tools", "--", "cat", "/etc/resolv.conf")


def test_dns_runs_as_a_deployment(kubectl):
    system = kubectl.within("kube-system")
    assert system.json("get", "service", "kube-dns")["spec"]["clusterIP"] == "10.96.0.10"
    assert "k8s-app=kube-dns" in system("get", "pods", "--show-labels")


def test_nothing_leaves_the_machine(kubectl):
    """Unused pod and service addresses are dropped here, not sent to the default route."""
    for address in ("10.244.200.200", "10.96.200.200"):
        route = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True)
        assert "via" not in route.stdout, route.stdout
