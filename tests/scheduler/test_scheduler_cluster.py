"""Through a real API server, in virtual time: scheduling, preemption, anti-affinity, spread, taints."""

import asyncio
import contextlib
from collections import Counter

import kubewheel.testing as testing
from kubewheel.testing import virtual_time


def make(name, *, labels=None, cpu=None, **spec):
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": labels or {}},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}], **spec}}


@contextlib.asynccontextmanager
async def cluster(*, nodes, capacity=None, seed=0):
    """Without controllers: what they would do for these tests is done by hand."""
    async with testing.cluster(nodes=0, controllers="", seed=seed) as c:
        await c.client.create("serviceaccounts", {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
        await add_nodes(c, nodes, capacity=capacity)
        yield c


async def add_nodes(c, count, **options):
    for made in await c.add_nodes(count, **options):
        await c.client.patch("nodes", made.name, {"spec": {"taints": None}})  # not-ready, taken off by a controller


def is_running(pod):
    return pod.get("status", {}).get("phase") == "Running"


def condition(pod, name):
    return next((c for c in pod.get("status", {}).get("conditions") or () if c["type"] == name), {})


async def nodes_of(c, names):
    return [(await c.wait_for("pods", n, is_running))["spec"]["nodeName"] for n in names]


def test_scheduled_running_and_told():
    async def main():
        async with cluster(nodes=2) as c:
            await c.client.create("pods", make("p"))
            p = await c.wait_for("pods", "p", is_running)
            assert p["status"]["podIP"] and condition(p, "Ready")["status"] == "True"

            async def event():
                return [e for e in (await c.client.list("events", namespace="default"))["items"]
                        if e["reason"] == "Scheduled"]

            (told,) = await c.wait_until(event)
            assert told["message"] == f"Successfully assigned default/p to {p['spec']['nodeName']}"

            await c.client.delete("pods", "p", namespace="default")
            await c.wait_gone("pods", "p")

    virtual_time.run(main())


def test_unschedulable_until_there_is_room():
    async def main():
        async with cluster(nodes=1, capacity={"cpu": "2"}) as c:
            await c.client.create("pods", make("big", cpu="3"))
            p = await c.wait_for("pods", "big", lambda p: condition(p, "PodScheduled"))
            assert condition(p, "PodScheduled")["reason"] == "Unschedulable"
            assert condition(p, "PodScheduled")["message"] == (
                "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
                "1 No preemption victims found for incoming pod.")
            await add_nodes(c, 1, prefix="more-", capacity={"cpu": "4"})
            assert await nodes_of(c, ["big"]) == ["more-0"]

    virtual_time.run(main())


def test_anti_affinity_spread_and_taints():
    async def main():
        async with cluster(nodes=0) as c:
            await add_nodes(c, 4, labels=lambda n: {"topology.kubernetes.io/zone": "ab"[n % 2]})
            term = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "kubernetes.io/hostname"}
            anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
            for n in range(4):
                await c.client.create("pods", make(f"db{n}", labels={"app": "db"}, affinity=anti))
            assert len(set(await nodes_of(c, [f"db{n}" for n in range(4)]))) == 4

            spread = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                       "labelSelector": {"matchLabels": {"app": "web"}}}]
            for n in range(6):
                await c.client.create("pods", make(f"web{n}", labels={"app": "web"}, topologySpreadConstraints=spread))
            zones = Counter(int(n[-1]) % 2 for n in await nodes_of(c, [f"web{n}" for n in range(6)]))
            assert zones == {0: 3, 1: 3}

            for n in range(3):
                await c.client.patch("nodes", f"node-{n}", {"spec": {"taints": [
                    {"key": "k", "value": "v", "effect": "NoSchedule"}]}})
            await c.wait_until(lambda: len(c.control_plane.scheduler.table.taint_sets) > 1)
            for n in range(3):
                await c.client.create("pods", make(f"plain{n}"))
            assert set(await nodes_of(c, [f"plain{n}" for n in range(3)])) == {"node-3"}

    virtual_time.run(main())


def test_preemption():
    async def main():
        async with cluster(nodes=1, capacity={"cpu": "2"}) as c:
            await c.client.create("priorityclasses.scheduling.k8s.io", {
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"},
                "value": 1000})
            await c.client.create("pods", make("low", cpu="2"))
            await c.wait_for("pods", "low", is_running)
            await c.client.create("pods", make("high", cpu="2", priorityClassName="high", priority=1000))
            assert await nodes_of(c, ["high"]) == ["node-0"]
            assert await c.client.find("pods", "low", namespace="default") is None

            async def event():
                return [e for e in (await c.client.list("events", namespace="default"))["items"]
                        if e["reason"] == "Preempted"]

            assert await c.wait_until(event)

    virtual_time.run(main())


def test_equal_seeds_give_equal_histories():
    async def main():
        async with cluster(nodes=5, seed=3) as c:
            for n in range(10):
                await c.client.create("pods", make(f"p{n}"))
            return await nodes_of(c, [f"p{n}" for n in range(10)])

    assert virtual_time.run(main()) == virtual_time.run(main())


def test_a_new_run_starts_from_the_caches():
    async def main():
        async with cluster(nodes=2) as c:
            await c.client.create("pods", make("one"))
            await nodes_of(c, ["one"])
            scheduler = c.control_plane.scheduler
            again = asyncio.ensure_future(scheduler.run())  # what its supervisor does after a crash
            await asyncio.sleep(1)
            assert len(scheduler.table) == 2 and scheduler.table.used[:, 3].sum() == 1
            await c.client.create("pods", make("two"))
            await nodes_of(c, ["two"])
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)

    virtual_time.run(main())


def test_gates_and_other_schedulers():
    async def main():
        async with cluster(nodes=1) as c:
            await c.client.create("pods", make("gated", schedulingGates=[{"name": "example.com/wait"}]))
            await c.client.create("pods", make("other", schedulerName="not-ours"))
            await asyncio.sleep(60)
            for name in ("gated", "other"):
                assert not (await c.client.get("pods", name, namespace="default"))["spec"].get("nodeName")
            await c.client.patch("pods", "gated", {"spec": {"schedulingGates": None}}, namespace="default")
            assert await nodes_of(c, ["gated"]) == ["node-0"]

    virtual_time.run(main())
