"""Endpoints written by hand are seen through EndpointSlices, and only those."""

from kubewheel.controllers.endpointslice_mirroring import changes, is_mirrored, wanted_slices
from kubewheel.testing import with_cluster

SLICES = "endpointslices.discovery.k8s.io"
SERVICE = {"spec": {}}


def endpoints(*subsets, **meta):
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "e", "namespace": "default", **meta},
            "subsets": list(subsets)}


def subset(*ips, port=80, unready=()):
    return {"addresses": [{"ip": ip} for ip in ips], "notReadyAddresses": [{"ip": ip} for ip in unready],
            "ports": [{"port": port, "protocol": "TCP"}]}


def test_what_is_mirrored():
    plain = endpoints(subset("10.0.0.1"))
    assert is_mirrored(plain, SERVICE)
    assert not is_mirrored(plain, None) and not is_mirrored(None, SERVICE)
    assert not is_mirrored(plain, {"spec": {"selector": {"a": "b"}}})
    assert not is_mirrored(endpoints(labels={"endpointslice.kubernetes.io/skip-mirror": "true"}), SERVICE)
    assert not is_mirrored(endpoints(annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}), SERVICE)


def test_one_slice_for_each_family_and_set_of_ports():
    made = wanted_slices(endpoints(subset("10.0.0.1", "fd00::1", unready=["10.0.0.2"]), subset("10.0.0.3", port=81),
                                   subset("10.0.0.4"), labels={"a": "b"}, uid="u", annotations={
                                       "kubectl.kubernetes.io/last-applied-configuration": "{}", "x": "y"}), 1000)
    assert [(s["addressType"], s["ports"][0]["port"], [(e["addresses"][0], e["conditions"]["ready"]) for e in s["endpoints"]])
            for s in made] == [
        ("IPv4", 80, [("10.0.0.1", True), ("10.0.0.2", False), ("10.0.0.4", True)]), ("IPv6", 80, [("fd00::1", True)]),
        ("IPv4", 81, [("10.0.0.3", True)])]
    meta = made[0]["metadata"]
    assert meta["labels"] == {"a": "b", "kubernetes.io/service-name": "e",
                              "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"}
    assert meta["annotations"] == {"x": "y"} and meta["ownerReferences"][0]["kind"] == "Endpoints"
    assert len(wanted_slices(endpoints(subset(*(f"10.0.0.{n}" for n in range(9))), uid="u"), 4)[0]["endpoints"]) == 4


def test_few_writes():
    wanted = wanted_slices(endpoints(subset("10.0.0.1"), subset("10.0.0.2", port=81), uid="u"), 1000)
    there = [{**s, "metadata": {**s["metadata"], "name": f"e-{n}"}} for n, s in enumerate(wanted)]
    assert changes(wanted, there) == ([], [], [])
    moved = wanted_slices(endpoints(subset("10.0.0.9"), uid="u"), 1000)
    todo = changes(moved, there)
    assert not todo.create and [s["metadata"]["name"] for s in todo.update] == ["e-0"]
    assert todo.update[0]["endpoints"][0]["addresses"] == ["10.0.0.9"]
    assert [s["metadata"]["name"] for s in todo.delete] == ["e-1"]


@with_cluster(nodes=0, scheduler=False)
async def test_create_update_delete(cluster):
    client = cluster.client

    async def mirrored(*wanted):
        async def same():
            found = (await client.list(SLICES, namespace="default", label_selector="kubernetes.io/service-name=e"))["items"]
            return [(e["addresses"][0], s["ports"][0]["port"]) for s in found for e in s["endpoints"]] == list(wanted)

        await cluster.wait_until(same)

    await client.create("services", {"metadata": {"name": "e", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}})
    made = await client.create("endpoints", endpoints(subset("10.1.2.3")))
    await mirrored(("10.1.2.3", 80))
    await client.update("endpoints", {**made, "subsets": [subset("10.1.2.4", port=8080)]})
    await mirrored(("10.1.2.4", 8080))
    await client.delete("endpoints", "e", namespace="default")
    await mirrored()
    await client.create("endpoints", endpoints(subset("10.1.2.3")))
    await mirrored(("10.1.2.3", 80))
    await client.patch("services", "e", {"spec": {"selector": {"no": "pods"}}}, namespace="default")
    await cluster.wait_until(lambda: gone_from(client))


async def gone_from(client):
    """The slice of the selector's own controller takes its place."""
    found = (await client.list(SLICES, namespace="default", label_selector="kubernetes.io/service-name=e"))["items"]
    return [s["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] for s in found] == [
        "endpointslice-controller.k8s.io"]
