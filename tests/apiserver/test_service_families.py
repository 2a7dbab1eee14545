"""Service addresses: which families, from which ranges."""

import pytest

from kubewheel.api import errors
from kubewheel.apiserver.allocators import families, ranges
from kubewheel.apiserver.options import Options
from kubewheel.testing import cluster

V4, DUAL = ("IPv4",), ("IPv4", "IPv6")
BOTH = {"clusterIPs": ["10.96.0.9", "fd00::9"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}


@pytest.mark.parametrize(("spec", "before", "have", "policy", "found"), [
    ({"selector": {"a": "b"}}, None, V4, "SingleStack", V4),
    ({}, None, DUAL, "SingleStack", V4),
    ({"ipFamilyPolicy": "PreferDualStack"}, None, V4, "PreferDualStack", V4),
    ({"ipFamilyPolicy": "PreferDualStack"}, None, DUAL, "PreferDualStack", DUAL),
    ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, None, DUAL, "RequireDualStack", ("IPv6", "IPv4")),
    ({"clusterIPs": ["fd00::1"]}, None, DUAL, "SingleStack", ("IPv6",)),
    ({"clusterIP": "None"}, None, V4, "RequireDualStack", DUAL),  # nobody selects: any endpoints may come
    ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, None, V4, "SingleStack", V4),
    ({"clusterIP": "None", "selector": {"a": "b"}}, None, V4, "SingleStack", V4),
    ({"clusterIPs": BOTH["clusterIPs"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"}, BOTH, DUAL,
     "SingleStack", V4),
    ({**BOTH}, BOTH, V4, "PreferDualStack", DUAL),  # the cluster lost a family: what a Service has it keeps
])
def test_families(spec, before, have, policy, found):
    choice, causes = families.choose(spec, before, have)
    assert not causes and (choice.policy, choice.families) == (policy, found)


@pytest.mark.parametrize(("spec", "before", "have", "field", "text"), [
    ({"ipFamilyPolicy": "RequireDualStack"}, None, V4, "spec.ipFamilyPolicy",
     'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'),
    ({"ipFamilies": ["IPv6"]}, None, V4, "spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster'),
    ({"clusterIPs": ["fd00::1"]}, None, V4, "spec.clusterIPs[0]",
     'Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'),
    ({"ipFamilies": ["IPv4", "IPv6"]}, None, DUAL, "spec.ipFamilyPolicy",
     "Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"),
    ({"clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}, BOTH, DUAL,
     "spec.ipFamilyPolicy", "Invalid value: \"PreferDualStack\": must be 'SingleStack' to release the secondary cluster IP"),
])
def test_families_that_cannot_be(spec, before, have, field, text):
    _, causes = families.choose(spec, before, have)
    told = errors.invalid("Service", "s", causes).status
    assert [(c["field"], c["message"]) for c in told["details"]["causes"]] == [(field, text)]


def service(name, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec}}


async def refused(client, obj):
    with pytest.raises(errors.StatusError) as told:
        await client.create("services", obj)
    return str(told.value)


async def test_two_families():
    options = Options(service_cluster_ip_range="10.96.0.0/24,fd00:10:96::/108")
    async with cluster(nodes=0, controllers="", scheduler=False, options=options) as made:
        client = made.client
        await made.server.bootstrap.wait_ready()
        cidr = await client.get("servicecidrs.networking.k8s.io", "kubernetes")
        assert cidr["spec"]["cidrs"] == ["10.96.0.0/24", "fd00:10:96::/108"]
        one = (await client.create("services", service("one", ipFamilyPolicy="SingleStack")))["spec"]
        assert (len(one["clusterIPs"]), one["ipFamilies"]) == (1, ["IPv4"])
        two = (await client.create("services", service("two", ipFamilyPolicy="RequireDualStack")))["spec"]
        assert [families.family_of(ip) for ip in two["clusterIPs"]] == two["ipFamilies"] == ["IPv4", "IPv6"]
        more = (await client.patch("services", "one", {"spec": {"ipFamilyPolicy": "PreferDualStack"}}, namespace="default"))["spec"]
        assert more["clusterIPs"][0] == one["clusterIP"] and more["ipFamilies"] == ["IPv4", "IPv6"]
        less = (await client.patch("services", "two", {"spec": {"ipFamilyPolicy": "SingleStack"}}, namespace="default"))["spec"]
        assert (less["clusterIPs"], less["ipFamilies"]) == ([two["clusterIP"]], ["IPv4"])
        again = service("again", clusterIPs=[two["clusterIPs"][1]], ipFamilies=["IPv6"])  # it was given back
        assert (await client.create("services", again))["spec"]["clusterIP"] == two["clusterIPs"][1]
        await made.wait_for("ipaddresses.networking.k8s.io", two["clusterIPs"][1], lambda a: (
            a["spec"]["parentRef"]["name"] == "again" and a["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv6"),
            namespace=None)


async def test_more_ranges():
    async with cluster(nodes=0, controllers="service-cidr-controller", scheduler=False,
                       options=Options(service_cluster_ip_range="10.96.0.0/29")) as made:
        client = made.client
        await made.server.bootstrap.wait_ready()
        for i in range(5):  # .1 is the server's own
            await client.create("services", service(f"s{i}"))
        assert "failed to allocate a serviceIP: range is full" in await refused(client, service("full"))
        elsewhere = service("fixed", clusterIP="10.1.2.3")
        assert "the provided network does not match the current range" in await refused(client, elsewhere)
        kind = "servicecidrs.networking.k8s.io"
        await client.create(kind, {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.1.2.0/24"]}})
        await made.wait_for(kind, "more", lambda c: (c.get("status") or {}).get("conditions"), namespace=None)
        await client.create("services", elsewhere)
        assert (await client.create("services", service("full")))["spec"]["clusterIP"].startswith("10.1.2.")
        await client.create("ipaddresses.networking.k8s.io", {"metadata": {"name": "10.1.2.77"}, "spec": {
            "parentRef": {"resource": "nodes", "name": "n"}}})
        await client.list("ipaddresses.networking.k8s.io")
        assert "provided IP is already allocated" in await refused(client, service("reserved", clusterIP="10.1.2.77"))
        await client.delete(kind, "more")
        await made.wait_for(kind, "more", lambda c: c["status"]["conditions"][0]["status"] == "False", namespace=None)
        assert "range is full" in await refused(client, service("late"))


def test_where_addresses_come_from():
    assert [str(n) for n in ranges.ready([
        {"metadata": {"name": "a"}, "spec": {"cidrs": ["10.0.0.0/24"]}},
        {"metadata": {"name": "b", "deletionTimestamp": "x"}, "spec": {"cidrs": ["10.0.1.0/24"]}},
        {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.0.2.0/24"]},
         "status": {"conditions": [{"type": "Ready", "status": "False"}]}}])] == ["10.0.0.0/24"]
    assert [ranges.band_of(n) for n in (14, 254, 1022, 65534)] == [0, 16, 63, 256]
