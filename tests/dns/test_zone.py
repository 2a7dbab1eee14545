"""The Kubernetes DNS specification, look-up by look-up; and the packets."""

import dnslib
import pytest

from kubewheel.dns import zone as zones


def slices(*endpoints, port=8080):
    return [{"metadata": {"namespace": "ns", "name": "s", "labels": {"kubernetes.io/service-name": "db"}},
             "endpoints": list(endpoints), "ports": [{"name": "sql", "port": port, "protocol": "TCP"}]}]


SERVICES = {
    ("ns", "web"): {"metadata": {"namespace": "ns", "name": "web"}, "spec": {
        "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}},
    ("ns", "db"): {"metadata": {"namespace": "ns", "name": "db"}, "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 8080}]}},
    ("ns", "out"): {"metadata": {"namespace": "ns", "name": "out"}, "spec": {"type": "ExternalName", "externalName": "example.com"}},
}
ENDPOINTS = slices({"addresses": ["10.244.0.2"], "hostname": "db-0"}, {"addresses": ["10.244.0.3"]},
                   {"addresses": ["10.244.0.4"], "conditions": {"ready": False}})


@pytest.fixture
def zone():
    return zones.Zone("cluster.local", zones.Sources(
        service=lambda ns, name: SERVICES.get((ns, name)), slices=lambda ns, name: ENDPOINTS if name == "db" else [],
        has_namespace=lambda ns: ns == "ns",
        service_by_ip=lambda ip: SERVICES[("ns", "web")] if ip == "10.96.0.5" else None,
        slices_by_ip=lambda ip: ENDPOINTS if ip == "10.244.0.2" else []))


def values(answer):
    return sorted(r.value for r in answer.records)


def test_cluster_ip_service(zone):
    assert values(zone.lookup("web.ns.svc.cluster.local", "A")) == [("10.96.0.5",)]
    none = zone.lookup("web.ns.svc.cluster.local", "AAAA")
    assert none.exists and not none.records


def test_headless_service_gives_ready_addresses(zone):
    assert values(zone.lookup("db.ns.svc.cluster.local", "A")) == [("10.244.0.2",), ("10.244.0.3",)]
    assert values(zone.lookup("db-0.db.ns.svc.cluster.local", "A")) == [("10.244.0.2",)]
    assert values(zone.lookup("10-244-0-3.db.ns.svc.cluster.local", "A")) == [("10.244.0.3",)]


def test_srv(zone):
    assert values(zone.lookup("_http._tcp.web.ns.svc.cluster.local", "SRV")) == [(0, 100, 80, "web.ns.svc.cluster.local.")]
    found = zone.lookup("_sql._tcp.db.ns.svc.cluster.local", "SRV")
    assert values(found)[0] == (0, 50, 8080, "10-244-0-3.db.ns.svc.cluster.local.")
    assert ("10.244.0.2",) in [r.value for r in found.extra]


def test_external_name(zone):
    assert values(zone.lookup("out.ns.svc.cluster.local", "A")) == [("example.com.",)]


def test_pod_names(zone):
    assert values(zone.lookup("10-244-0-9.ns.pod.cluster.local", "A")) == [("10.244.0.9",)]
    assert not zone.lookup("10-244-0-9.other.pod.cluster.local", "A").exists


def test_reverse(zone):
    assert values(zone.reverse("5.0.96.10.in-addr.arpa")) == [("web.ns.svc.cluster.local.",)]
    assert ("db-0.db.ns.svc.cluster.local.",) in values(zone.reverse("2.0.244.10.in-addr.arpa"))
    assert zone.reverse("9.9.9.9.in-addr.arpa") is None


@pytest.mark.parametrize("name", ["no.ns.svc.cluster.local", "x.cluster.local", "a.b.web.ns.svc.cluster.local"])
def test_unknown_names_do_not_exist(zone, name):
    assert not zone.lookup(name, "A").exists


def test_namespace_exists_without_records(zone):
    assert zone.lookup("ns.svc.cluster.local", "A").exists
    assert not zone.lookup("nope.svc.cluster.local", "A").exists


def test_address_of_names():
    assert zones.address_of("4.3.2.1.in-addr.arpa") == "1.2.3.4"
    assert zones.address_of(dnslib.DNSRecord.question("x").q.qname.label[0].decode()) is None


def test_the_zone_names_itself_and_its_server():
    service = {"metadata": {"namespace": "kube-system", "name": "kube-dns"}, "spec": {"clusterIP": "10.96.0.10"}}
    zone = zones.Zone("cluster.local", zones.Sources(
        service=lambda ns, name: service if (ns, name) == ("kube-system", "kube-dns") else None, slices=lambda ns, name: [],
        has_namespace=lambda ns: True, service_by_ip=lambda ip: None, slices_by_ip=lambda ip: []))
    assert values(zone.lookup("cluster.local", "SOA")) == [
        ("ns.dns.cluster.local.", "hostmaster.cluster.local.", (1, 7200, 1800, 86400, 5))]
    found = zone.lookup("cluster.local", "NS")
    assert values(found) == [("kube-dns.kube-system.svc.cluster.local.",)]
    assert [(r.name, r.value) for r in found.extra] == [("kube-dns.kube-system.svc.cluster.local", ("10.96.0.10",))]
    assert values(zone.lookup("ns.dns.cluster.local", "A")) == [("10.96.0.10",)]
    assert zone.lookup("cluster.local", "A").exists and not values(zone.lookup("cluster.local", "A"))
