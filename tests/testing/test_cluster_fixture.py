"""The fixture as a user sees it: fresh clusters, virtual time, equal seeds, nodes that fail, other people's clients."""

import asyncio
import concurrent.futures

import pytest

from kubewheel.testing import cluster as make_cluster
from kubewheel.testing import virtual_time, with_cluster


def deployment(name, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}}}}


def ready(count):
    return lambda d: (d.get("status") or {}).get("readyReplicas") == count


# -- the fixture ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_a_cluster_of_its_own(cluster, turn):
    assert await cluster.client.find("configmaps", "mark", namespace="default") is None
    await cluster.client.create("configmaps", {"metadata": {"name": "mark"}, "data": {"turn": str(turn)}},
                                namespace="default")


async def test_two_clusters_in_one_loop_do_not_know_each_other():
    async with make_cluster(nodes=1) as one, make_cluster(nodes=2, node_options={"prefix": "other-"}) as two:
        names = [{n["metadata"]["name"] for n in (await c.client.list("nodes"))["items"]} for c in (one, two)]
    assert names == [{"node-0"}, {"other-0", "other-1"}]


@pytest.mark.kubewheel(nodes=3, scheduler=False)
async def test_the_marker_says_how_the_cluster_is_made(cluster):
    assert len((await cluster.client.list("nodes"))["items"]) == 3
    assert cluster.control_plane.scheduler is None


async def test_rbac_binds_other_identities(cluster):
    from kubewheel.api import errors

    with pytest.raises(errors.StatusError) as refused:
        await cluster.client_as("somebody").list("secrets", namespace="default")
    assert refused.value.code == 403


async def test_nothing_is_left_running_after_the_cluster():
    before = asyncio.all_tasks()
    async with make_cluster(nodes=2) as made:
        await made.client.create("deployments.apps", deployment("web", 2), namespace="default")
        await made.wait_for("deployments.apps", "web", ready(2))
    assert asyncio.all_tasks() == before


# -- virtual time ---------------------------------------------------------------------------------------------------
def cron_job(schedule):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/job:1"}]}}
    return {"metadata": {"name": "tick"}, "spec": {"schedule": schedule, "successfulJobsHistoryLimit": 30,
                                                   "jobTemplate": {"spec": {"template": template}}}}


JOBS = "cronjob-controller,job-controller,serviceaccount-controller"


@with_cluster(virtual_time=True, nodes=0, scheduler=False, controllers=JOBS)
async def test_a_day_of_a_cron_job_takes_no_time(cluster):
    began = asyncio.get_running_loop().time()
    await cluster.client.create("cronjobs.batch", cron_job("0 * * * *"), namespace="default")
    await asyncio.sleep(24 * 3600 + 60)
    assert asyncio.get_running_loop().time() - began >= 24 * 3600
    jobs = (await cluster.client.list("jobs.batch", namespace="default"))["items"]
    times = [j["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] for j in jobs]
    assert [t[11:] for t in sorted(times)] == [f"{hour % 24:02}:00:00Z" for hour in range(1, 25)]


@with_cluster(virtual_time=True, nodes=1, controllers=f"{JOBS},node-lifecycle-controller")
async def test_jobs_of_a_cron_job_run_on_simulated_nodes(cluster):
    await cluster.client.create("cronjobs.batch", cron_job("*/10 * * * *"), namespace="default")
    await asyncio.sleep(30 * 60 + 30)
    jobs = (await cluster.client.list("jobs.batch", namespace="default"))["items"]
    assert [j["status"].get("succeeded") for j in jobs] == [1, 1, 1]


def history(seed):
    """What a cluster did: every pod event with its revision, and who was scheduled where."""

    async def main():
        async with make_cluster(nodes=4, seed=seed) as made:
            seen = []
            pods = made.caches.get("pods")
            await pods.wait_synced()
            pods.subscribe(lambda old, new: seen.append(
                (new or old)["metadata"]["name"] + " " + (new or old)["metadata"]["resourceVersion"]
                + " " + (new or old)["spec"].get("nodeName", "-") + (" gone" if new is None else "")))
            await made.client.create("deployments.apps", deployment("web", 6), namespace="default")
            await made.wait_for("deployments.apps", "web", ready(6))
            await made.client.patch("deployments.apps", "web", {"spec": {"template": {"metadata": {
                "annotations": {"round": "2"}}}}}, namespace="default")
            await made.wait_for("deployments.apps", "web", lambda d: (
                d["status"].get("observedGeneration") == d["metadata"]["generation"]
                and [d["status"].get(f) for f in ("updatedReplicas", "readyReplicas", "replicas")] == [6, 6, 6]))
            events = (await made.client.list("events.events.k8s.io", namespace="default"))["items"]
            return seen, [(e["metadata"]["name"], e.get("reason"), e.get("note")) for e in events]

    return virtual_time.run(main())


def test_equal_seeds_give_equal_histories():
    one, two, other = history(7), history(7), history(8)
    assert len(one[0]) > 30 and one[1]
    assert one == two
    assert one != other


@with_cluster(virtual_time=True, nodes=2)
async def test_pods_of_a_node_that_died_silently_move(cluster):
    await cluster.client.create("deployments.apps", deployment("web", 2), namespace="default")
    await cluster.wait_for("deployments.apps", "web", ready(2))
    cluster.nodes[0].stop()

    async def moved():
        pods = (await cluster.client.list("pods", namespace="default"))["items"]
        alive = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        return len(alive) == 2 and {p["spec"].get("nodeName") for p in alive} == {"node-1"} and all(
            p["status"].get("phase") == "Running" for p in alive)

    began = asyncio.get_running_loop().time()
    await cluster.wait_until(moved, timeout=900, what="pods on the node that lives")
    assert asyncio.get_running_loop().time() - began > 300  # tolerationSeconds of the default tolerations
    node = await cluster.client.get("nodes", "node-0")
    assert {"node.kubernetes.io/unreachable"} <= {t["key"] for t in node["spec"]["taints"]}


# -- the official client --------------------------------------------------------------------------------------------
async def in_thread(work):
    """Somebody else's blocking client, beside the cluster's loop."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


async def test_the_official_python_client_lists_creates_and_watches(cluster):
    kubernetes = pytest.importorskip("kubernetes")
    path = await cluster.kubeconfig()
    await cluster.wait_for("serviceaccounts", "default")

    def work():
        with kubernetes.config.new_client_from_config(str(path)) as api:
            core = kubernetes.client.CoreV1Api(api)
            assert [n.metadata.name for n in core.list_node().items] == ["node-0"]
            core.create_namespaced_pod("default", {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"},
                "spec": {"containers": [{"name": "main", "image": "example/web:1"}]}})
            phases = []
            watch = kubernetes.watch.Watch()
            for event in watch.stream(core.list_namespaced_pod, "default", timeout_seconds=20):
                phases.append((event["type"], event["object"].status.phase))
                if event["object"].status.phase == "Running":
                    watch.stop()
            core.delete_namespaced_pod("one", "default")
            return phases

    phases = await in_thread(work)
    assert phases[0][0] == "ADDED" and phases[-1] == ("MODIFIED", "Running")
