"""Simulated nodes against a real API server, in virtual time."""

import asyncio

import kubewheel.testing as testing
from kubewheel.lib.clock import parse_time
from kubewheel.testing import virtual_time


def pod(name, node="node-0", policy="Always", **annotations):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default",
                         "annotations": {"kubewheel.dev/" + k.replace("_", "-"): v for k, v in annotations.items()}},
            "spec": {"nodeName": node, "restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]}}


def phase(wanted):
    return lambda p: p.get("status", {}).get("phase") == wanted


def run(scenario, nodes=1):
    async def main():
        async with testing.cluster(nodes=nodes, controllers="", scheduler=False) as c:
            await c.client.create("serviceaccounts", {
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
            await scenario(c)

    virtual_time.run(main())


def ready(node):
    return next(x["status"] for x in node["status"]["conditions"] if x["type"] == "Ready")


def test_registers_renews_and_dies_silently():
    async def scenario(c):
        node = await c.client.get("nodes", "node-0")
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.0" and ready(node) == "True"
        assert node["status"]["allocatable"]["pods"] == "110"

        async def renewed():
            lease = await c.client.get("leases.coordination.k8s.io", "node-0", namespace="kube-node-lease")
            return parse_time(lease["spec"]["renewTime"])

        await c.wait_for("leases.coordination.k8s.io", "node-0", namespace="kube-node-lease")
        first = await renewed()
        await asyncio.sleep(35)
        assert await renewed() - first >= 30
        await c.nodes[0].not_ready()
        assert ready(await c.client.get("nodes", "node-0")) == "False"
        await c.nodes[0].ready()
        c.nodes[0].stop()
        last = await renewed()
        await asyncio.sleep(100)
        assert await renewed() == last
        await c.nodes[0].start()
        await c.wait_until(lambda: c.nodes[0].is_alive)
        await asyncio.sleep(1)
        assert await renewed() > last

    run(scenario)


def test_runs_fails_and_restarts_pods():
    async def scenario(c):
        await c.client.create("pods", pod("web"))
        await c.client.create("pods", pod("job", policy="Never", run_seconds="60"))
        await c.client.create("pods", pod("bad", policy="Never", run_seconds="5", exit_code="3"))
        web = await c.wait_for("pods", "web", phase("Running"))
        assert web["status"]["podIP"].startswith("10.128.")
        bad = await c.wait_for("pods", "bad", phase("Failed"))
        assert bad["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
        assert phase("Running")(await c.client.get("pods", "job", namespace="default"))
        await c.wait_for("pods", "job", phase("Succeeded"), timeout=90)

        c.nodes[0].crash("default", "web")
        await c.wait_for("pods", "web", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
        c.nodes[0].fail_pod("default", "web", reason="Evicted", message="The node was low on resource: memory.")
        web = await c.wait_for("pods", "web", phase("Failed"))
        assert web["status"]["reason"] == "Evicted"
        await c.client.delete("pods", "web", namespace="default")
        await c.wait_gone("pods", "web")

    run(scenario)


def test_a_fleet():
    async def scenario(c):
        assert len((await c.client.list("nodes"))["items"]) == 100
        for n in range(100):
            await c.client.create("pods", pod(f"p{n}", node=f"node-{n}"))

        async def all_run():
            pods = (await c.client.list("pods", namespace="default"))["items"]
            return len({p["status"].get("podIP") for p in pods if phase("Running")(p)}) == 100

        await c.wait_until(all_run)

    run(scenario, nodes=100)
