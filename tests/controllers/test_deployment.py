"""Deployments in a cluster: rolling within bounds, rollover, recreate, pause, deadlines, history, adoption."""

import asyncio

from workloads_kit import (
    condition,
    events,
    in_cluster,
    items,
    meta,
    name,
    patch,
    pods,
    rolled,
    set_image,
    settle,
    status,
    until,
    workload,
)

D, RS = "deployments.apps", "replicasets.apps"


def web(**spec):
    return workload("Deployment", "web", **spec)


async def sets(c):
    return sorted(await items(c, RS), key=lambda r: int(meta(r)["annotations"]["deployment.kubernetes.io/revision"]))


async def sizes(c):
    return [r["spec"]["replicas"] for r in await sets(c)]


async def is_out(c, n, timeout=120):
    return await c.wait_for(D, "web", rolled(n), timeout=timeout)


def test_rolling_stays_within_surge_and_unavailable():
    async def work(c):
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
        await c.client.create(D, web(replicas=6, strategy=rolling, annotations={"ready-seconds": 3}))
        await is_out(c, 6)
        seen = []

        async def watch():
            while True:
                found = [p for p in await pods(c, "web") if "deletionTimestamp" not in meta(p)]
                ready = sum(condition(p, "Ready").get("status") == "True" for p in found)
                seen.append((len(found), ready))
                await asyncio.sleep(0.05)

        watcher = asyncio.ensure_future(watch())
        await set_image(c, D, "web", "nginx:2")
        await is_out(c, 6)
        watcher.cancel()
        assert max(n for n, _ in seen) == 8
        assert min(ready for _, ready in seen) >= 5
        assert await sizes(c) == [0, 6]

    in_cluster(work)


def test_min_ready_seconds_delay_availability():
    async def work(c):
        await c.client.create(D, web(replicas=1, minReadySeconds=20))
        loop = asyncio.get_running_loop()
        await c.wait_for(D, "web", lambda d: status(d).get("readyReplicas") == 1)
        begun = loop.time()
        await is_out(c, 1)
        assert 18 < loop.time() - begun < 25

    in_cluster(work)


def test_bad_image_stalls_until_rolled_back():
    async def work(c):
        await c.client.create(D, web(replicas=4, progressDeadlineSeconds=30))
        await is_out(c, 4)
        await set_image(c, D, "web", "bad", {"ready-seconds": 100000})
        d = await c.wait_for(
            D, "web", lambda d: condition(d, "Progressing").get("reason") == "ProgressDeadlineExceeded", timeout=90
        )
        found = condition(d, "Progressing")
        assert found["status"] == "False"
        assert found["message"].startswith('ReplicaSet "web-') and found["message"].endswith(
            "has timed out progressing."
        )
        assert condition(d, "Available")["status"] == "True" and status(d)["availableReplicas"] == 3
        assert await sizes(c) == [3, 2]
        # what `kubectl rollout undo` does: the old template comes back, its ReplicaSet is the new one again
        old = (await sets(c))[0]["spec"]["template"]
        labels = {k: v for k, v in meta(old)["labels"].items() if k != "pod-template-hash"}
        kept = {p["metadata"]["uid"] for p in await pods(c, "web") if condition(p, "Ready").get("status") == "True"}
        now = await c.client.get(D, "web", namespace="default")
        await c.client.update(D, {**now, "spec": {**now["spec"], "template": {**old, "metadata": {"labels": labels}}}})
        d = await is_out(c, 4)
        assert meta(d)["annotations"]["deployment.kubernetes.io/revision"] == "3"
        assert condition(d, "Progressing")["reason"] == "NewReplicaSetAvailable"
        last = (await sets(c))[-1]
        assert meta(last)["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
        assert kept <= {p["metadata"]["uid"] for p in await pods(c, "web")}

    in_cluster(work)


def test_scaling_in_the_middle_is_proportional():
    async def work(c):
        rolling = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
        await c.client.create(D, web(replicas=10, strategy=rolling))
        await is_out(c, 10)
        await set_image(c, D, "web", "bad", {"ready-seconds": 100000})

        async def stuck():
            return await sizes(c) == [8, 5]

        await until(c, stuck, what="the stalled rollout")
        await settle(2)
        await patch(c, D, "web", replicas=30)

        async def shared():  # upstream's own example: 8+5 become 20+13
            return await sizes(c) == [20, 13]

        await until(c, shared, what="proportional sizes")

    in_cluster(work)


def test_rollover_leaves_the_middle_version():
    async def work(c):
        await c.client.create(D, web(replicas=3))
        await is_out(c, 3)
        await set_image(c, D, "web", "nginx:2", {"ready-seconds": 100000})

        async def two():
            return len(await sets(c)) == 2

        await until(c, two)
        await settle(1)
        await set_image(c, D, "web", "nginx:3", {"ready-seconds": None})
        await is_out(c, 3)
        assert await sizes(c) == [0, 0, 3]
        assert {
            p["spec"]["containers"][0]["image"] for p in await pods(c, "web") if "deletionTimestamp" not in meta(p)
        } == {"nginx:3"}

    in_cluster(work)


def test_recreate_never_mixes_versions():
    async def work(c):
        await c.client.create(D, web(replicas=3, strategy={"type": "Recreate"}))
        await is_out(c, 3)
        mixed = []

        async def watch():
            while True:
                images = {p["spec"]["containers"][0]["image"] for p in await pods(c, "web")}
                mixed.append(len(images) > 1)
                await asyncio.sleep(0.02)

        watcher = asyncio.ensure_future(watch())
        await set_image(c, D, "web", "nginx:2")
        await is_out(c, 3)
        watcher.cancel()
        assert not any(mixed)

    in_cluster(work)


def test_pause_holds_the_template_but_not_the_size():
    async def work(c):
        await c.client.create(D, web(replicas=2))
        await is_out(c, 2)
        await patch(c, D, "web", paused=True)
        await c.wait_for(D, "web", lambda d: condition(d, "Progressing").get("reason") == "DeploymentPaused")
        await set_image(c, D, "web", "nginx:2")
        await patch(c, D, "web", replicas=4)

        async def four():
            return await sizes(c) == [4]

        await until(c, four)
        await patch(c, D, "web", paused=False)
        await is_out(c, 4)
        assert await sizes(c) == [0, 4]

    in_cluster(work)


def test_paused_rollout_does_not_run_out_of_time():
    async def work(c):
        await c.client.create(D, web(replicas=1, progressDeadlineSeconds=10, annotations={"ready-seconds": 60}))
        await patch(c, D, "web", paused=True)
        await settle(30)
        d = await c.client.get(D, "web", namespace="default")
        assert condition(d, "Progressing")["reason"] == "DeploymentPaused"

    in_cluster(work)


def test_history_limit_zero_removes_old_sets():
    async def work(c):
        await c.client.create(D, web(replicas=1, revisionHistoryLimit=0))
        await is_out(c, 1)
        await set_image(c, D, "web", "nginx:2")
        await is_out(c, 1)

        async def one():
            return len(await sets(c)) == 1

        await until(c, one)

    in_cluster(work)


def test_matching_replica_set_is_adopted_and_strays_released():
    async def work(c):
        alone = workload("ReplicaSet", "web", replicas=2)
        alone["metadata"]["labels"] = {"app": "web"}
        await c.client.create(RS, alone)
        await c.wait_for(RS, "web", lambda r: status(r).get("readyReplicas") == 2)
        uids = {p["metadata"]["uid"] for p in await pods(c, "web")}
        await c.client.create(D, web(replicas=2))
        await is_out(c, 2)
        (rs,) = await items(c, RS)
        assert name(rs) == "web" and meta(rs)["ownerReferences"][0]["kind"] == "Deployment"
        assert {p["metadata"]["uid"] for p in await pods(c, "web")} == uids
        await c.client.patch(RS, "web", {"metadata": {"labels": {"app": "other"}}}, namespace="default")

        async def replaced():
            found = await items(c, RS)
            return len(found) == 2 and not next(r for r in found if name(r) == "web")["metadata"].get("ownerReferences")

        await until(c, replaced)

    in_cluster(work)


def test_scale_subresource():
    async def work(c):
        await c.client.create(D, web(replicas=1))
        await is_out(c, 1)
        scale = await c.client.get(D, "web", namespace="default", subresource="scale")
        assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 1, "app=web")
        scale["spec"]["replicas"] = 3
        await c.client.update(D, scale, subresource="scale")
        d = await is_out(c, 3)
        assert {e["message"].split(" from ")[1] for e in await events(c, "ScalingReplicaSet")} == {"0 to 1", "1 to 3"}
        assert d["spec"]["replicas"] == 3

    in_cluster(work)


def test_refused_pods_show_as_replica_failure_and_heal():
    async def work(c):
        enforce = "pod-security.kubernetes.io/enforce"
        await c.client.patch("namespaces", "default", {"metadata": {"labels": {enforce: "restricted"}}})
        await c.client.create(D, web(replicas=2))
        d = await c.wait_for(D, "web", lambda d: condition(d, "ReplicaFailure"), timeout=60)
        assert condition(d, "ReplicaFailure")["reason"] == "FailedCreate"
        assert "violates PodSecurity" in condition(d, "ReplicaFailure")["message"]
        await c.client.patch("namespaces", "default", {"metadata": {"labels": {enforce: None}}})
        d = await is_out(c, 2, timeout=600)
        assert not condition(d, "ReplicaFailure")

    in_cluster(work)


def test_hash_collision_gets_another_name():
    async def work(c):
        await c.client.create(D, web(replicas=1))
        await is_out(c, 1)
        (rs,) = await items(c, RS)
        await c.client.delete(D, "web", namespace="default", propagation="Orphan")
        await c.wait_gone(D, "web")
        # the same name, but another template: the next Deployment's first choice is taken
        await c.client.delete(RS, name(rs), namespace="default")
        await c.wait_gone(RS, name(rs))
        other = workload("ReplicaSet", "other", replicas=0)
        other["metadata"]["name"] = name(rs)
        await c.client.create(RS, other)
        await c.client.create(D, web(replicas=1))
        d = await is_out(c, 1)
        assert status(d)["collisionCount"] == 1
        assert len(await items(c, RS)) == 2

    in_cluster(work)
