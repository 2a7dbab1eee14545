import asyncio

from kubewheel.controllers import service_cidrs
from kubewheel.testing import with_cluster


def cidr(name, *ranges, **meta):
    return {"metadata": {"name": name, **meta}, "spec": {"cidrs": list(ranges)}}


def test_addresses_without_another_range():
    one, wide = cidr("one", "10.0.0.0/24"), cidr("wide", "10.0.0.0/16")
    assert service_cidrs.orphans(one, [one], ["10.0.0.5", "10.9.0.1", "fd00::1"]) == ["10.0.0.5"]
    assert service_cidrs.orphans(one, [one, wide], ["10.0.0.5"]) == []
    assert service_cidrs.orphans(one, [cidr("wide", "10.0.0.0/16", deletionTimestamp="x")], ["10.0.0.5"]) == ["10.0.0.5"]


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers="service-cidr-controller")
async def test_a_range_in_use_stays(cluster):
    client = cluster.client
    await client.create(service_cidrs.CIDRS, cidr("more", "10.77.0.0/24"))

    def ready(status):
        return lambda c: any(x["status"] == status for x in (c.get("status") or {}).get("conditions") or ())

    await cluster.wait_for(service_cidrs.CIDRS, "more", ready("True"), namespace=None)
    await client.create(service_cidrs.ADDRESSES, {"metadata": {"name": "10.77.0.9"}, "spec": {"parentRef": {
        "resource": "services", "namespace": "default", "name": "x"}}})
    await client.delete(service_cidrs.CIDRS, "more")
    found = await cluster.wait_for(service_cidrs.CIDRS, "more", ready("False"), namespace=None)
    assert found["status"]["conditions"][0]["reason"] == "Terminating"
    await asyncio.sleep(60)
    assert await client.find(service_cidrs.CIDRS, "more")
    await client.delete(service_cidrs.ADDRESSES, "10.77.0.9")
    await cluster.wait_gone(service_cidrs.CIDRS, "more", namespace=None)
