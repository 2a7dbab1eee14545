"""The default FlowSchemas and PriorityLevelConfigurations: there from the start, and kept as upstream keeps them."""

from __future__ import annotations

from kubewheel.api import codec
from kubewheel.apiserver import flow_defaults
from kubewheel.apiserver.flow_defaults import AUTOUPDATE, FLOW_SCHEMAS, PRIORITY_LEVELS
from kubewheel.testing.cluster import cluster


async def test_defaults_are_there_and_kept():
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.server.bootstrap.wait_ready()
        levels = {o["metadata"]["name"]: o for o in (await c.client.list(PRIORITY_LEVELS))["items"]}
        assert sorted(levels) == ["catch-all", "exempt", "global-default", "leader-election", "node-high", "system",
                                  "workload-high", "workload-low"]
        flows = {o["metadata"]["name"]: o for o in (await c.client.list(FLOW_SCHEMAS))["items"]}
        assert {name: (o["spec"]["matchingPrecedence"], o["spec"]["priorityLevelConfiguration"]["name"])
                for name, o in flows.items()} == {
            "exempt": (1, "exempt"), "probes": (2, "exempt"), "system-leader-election": (100, "leader-election"),
            "endpoint-controller": (150, "workload-high"), "workload-leader-election": (200, "leader-election"),
            "system-node-high": (400, "node-high"), "system-nodes": (500, "system"),
            "kube-controller-manager": (800, "workload-high"), "kube-scheduler": (800, "workload-high"),
            "kube-system-service-accounts": (900, "workload-high"), "service-accounts": (9000, "workload-low"),
            "global-default": (9900, "global-default"), "catch-all": (10000, "catch-all")}
        assert all(o["metadata"]["annotations"] == {AUTOUPDATE: "true"} for o in [*levels.values(), *flows.values()])
        assert {c["status"] for o in flows.values() for c in o["status"]["conditions"]} == {"False"}

        await flow_defaults.ensure(c.client)
        again = {o["metadata"]["name"]: o for o in (await c.client.list(FLOW_SCHEMAS))["items"]}
        assert again == flows  # nothing to do, nothing written


async def test_whose_objects_they_are():
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        await c.server.bootstrap.wait_ready()

        async def changed(name: str, annotation: str) -> int:
            flow = codec.copy(await c.client.get(FLOW_SCHEMAS, name))
            flow["spec"]["matchingPrecedence"] = 333
            flow["metadata"]["annotations"][AUTOUPDATE] = annotation
            await c.client.update(FLOW_SCHEMAS, flow)
            await flow_defaults.ensure(c.client)
            return int((await c.client.get(FLOW_SCHEMAS, name))["spec"]["matchingPrecedence"])

        assert await changed("service-accounts", "true") == 9000
        assert await changed("global-default", "false") == 333
        await c.client.delete(FLOW_SCHEMAS, "exempt")
        await c.client.delete(PRIORITY_LEVELS, "node-high")
        await flow_defaults.tell_dangling(c.client, "2026-01-01T00:00:00Z")
        left = await c.client.get(FLOW_SCHEMAS, "system-node-high")
        assert left["status"]["conditions"][0]["status"] == "True"
        await flow_defaults.ensure(c.client)
        assert (await c.client.get(FLOW_SCHEMAS, "exempt"))["spec"]["matchingPrecedence"] == 1
