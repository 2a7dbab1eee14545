"""Services and EndpointSlices to rulesets, and rulesets to nftables text."""

import shutil
import subprocess

from kubewheel.proxy import model, proxier
from kubewheel.proxy.backends import nftables


def service(name="web", **spec):
    base = {"clusterIP": "10.96.0.5", "type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}
    return {"metadata": {"namespace": "default", "name": name}, "spec": base | spec}


def endpoint_slice(*endpoints, service_name="web", port=8080):
    return {"metadata": {"namespace": "default", "name": f"{service_name}-x", "labels": {model.SERVICE_LABEL: service_name}},
            "addressType": "IPv4", "endpoints": list(endpoints), "ports": [{"port": port, "protocol": "TCP", "name": ""}]}


def endpoint(ip, node="a", **conditions):
    return {"addresses": [ip], "nodeName": node, "conditions": {"ready": True} | conditions}


def only(rules):
    assert len(rules.ports) == 1
    return rules.ports[0]


def test_ready_endpoints_serve():
    rules = model.build([service()], [endpoint_slice(endpoint("10.244.0.2"), endpoint("10.244.0.3", ready=False))], node_name="a")
    assert [e.ip for e in only(rules).cluster] == ["10.244.0.2"]


def test_terminating_endpoints_serve_only_when_none_is_ready():
    leaving = endpoint("10.244.0.2", ready=False, serving=True, terminating=True)
    assert [e.ip for e in only(model.build([service()], [endpoint_slice(leaving)], node_name="a")).cluster] == ["10.244.0.2"]
    both = model.build([service()], [endpoint_slice(leaving, endpoint("10.244.0.3"))], node_name="a")
    assert [e.ip for e in only(both).cluster] == ["10.244.0.3"]


def test_headless_and_external_name_are_not_proxied():
    assert not model.build([service(clusterIP="None"), service(type="ExternalName", clusterIP="")], [], node_name="a").ports


def test_local_policies_keep_to_the_node():
    slices = [endpoint_slice(endpoint("10.244.0.2", "a"), endpoint("10.244.1.2", "b"))]
    port = only(model.build([service(type="NodePort", externalTrafficPolicy="Local", ports=[
        {"port": 80, "nodePort": 30080}])], slices, node_name="a"))
    assert [e.ip for e in port.external] == ["10.244.0.2"]
    assert [e.ip for e in port.cluster] == ["10.244.0.2", "10.244.1.2"]
    inside = only(model.build([service(internalTrafficPolicy="Local")], slices, node_name="c"))
    assert inside.cluster == () and inside.has_endpoints


def test_zone_hints_are_followed_when_all_have_them():
    hinted = [endpoint(ip) | {"hints": {"forZones": [{"name": zone}]}} for ip, zone in (("10.244.0.2", "x"), ("10.244.0.3", "y"))]
    assert [e.ip for e in only(model.build([service()], [endpoint_slice(*hinted)], node_name="a", zone="y")).cluster] == ["10.244.0.3"]
    hinted[0].pop("hints")
    assert len(only(model.build([service()], [endpoint_slice(*hinted)], node_name="a", zone="y")).cluster) == 2


def test_udp_flows_of_removed_endpoints_end():
    udp = [{"port": 53, "protocol": "UDP"}]
    one = model.build([service(ports=udp)], [endpoint_slice(endpoint("10.244.0.2"))], node_name="a")
    other = model.build([service(ports=udp)], [endpoint_slice(endpoint("10.244.0.3"))], node_name="a")
    assert proxier.stale_udp(one, other) == [("10.96.0.5", 53, "10.244.0.2")]
    assert proxier.stale_udp(model.Ruleset(), one) == [("10.96.0.5", 53, "")]


def test_nft_accepts_every_transaction_in_turn():
    """The text is judged by nft itself, in a network namespace of its own."""
    sticky = service("sticky", clusterIP="10.96.0.6", sessionAffinity="ClientIP")
    slices = [endpoint_slice(endpoint("10.244.0.2"), endpoint("10.244.0.3")),
              endpoint_slice(endpoint("10.244.0.2"), service_name="sticky")]
    full = model.build([service(type="LoadBalancer", loadBalancerSourceRanges=["192.0.2.0/24"], externalIPs=["198.51.100.7"],
                                ports=[{"port": 80, "nodePort": 30080}]) | {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.8"}]}}},
                        sticky, service("empty", clusterIP="10.96.0.7")], slices, node_name="a")
    steps, before = [full, model.Ruleset(), full, model.build([service()], slices, node_name="a")], None
    assert shutil.which("nft") and shutil.which("unshare")
    script = []
    for step in steps:
        before = nftables.render(step, cluster_cidr="10.244.0.0/16", before=before)
        script.append(before.text)
    body = "\n".join(f"nft -f - <<'EOT'\n{text}EOT\n[ $? = 0 ] || exit 1" for text in script)
    done = subprocess.run(["unshare", "-n", "sh", "-c", body + "\nnft list table ip kube-proxy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "10.96.0.5 . tcp . 80" in done.stdout and "10.96.0.6" not in done.stdout
