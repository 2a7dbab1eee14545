"""Each cluster IP has its IPAddress, which comes and goes with the Service."""

from kubewheel.testing import with_cluster

ADDRESSES = "ipaddresses.networking.k8s.io"


def service(name, **spec):
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}


async def owners(cluster):
    found = (await cluster.client.list(ADDRESSES))["items"]
    return {a["metadata"]["name"]: a["spec"]["parentRef"]["name"] for a in found}


@with_cluster(nodes=0, controllers="", scheduler=False)
async def test_addresses_follow_services(cluster):
    client = cluster.client

    async def become(**wanted):
        async def same():
            return await owners(cluster) == {**{"10.96.0.1": "kubernetes"}, **{ip.replace("_", "."): n for ip, n in wanted.items()}}

        await cluster.wait_until(same)

    await become()
    one = await client.get(ADDRESSES, "10.96.0.1")
    assert one["metadata"]["labels"] == {"ipaddress.kubernetes.io/ip-family": "IPv4",
                                         "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
    assert one["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "kubernetes"}
    await client.create("services", service("a", clusterIP="10.96.0.20"))
    await client.create("services", service("headless", clusterIP="None"))
    await become(**{"10_96_0_20": "a"})
    await client.delete(ADDRESSES, "10.96.0.20")  # repaired
    await become(**{"10_96_0_20": "a"})
    await client.delete("services", "a", namespace="default")
    await become()
    await client.create("services", service("b", clusterIP="10.96.0.20"))
    await become(**{"10_96_0_20": "b"})
    await client.patch("services", "b", {"spec": {"type": "ExternalName", "externalName": "x.y", "clusterIP": None,
                                                  "clusterIPs": None}}, namespace="default")
    await become()
