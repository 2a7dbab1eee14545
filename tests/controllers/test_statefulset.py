"""StatefulSets: order, partitions, halting on unhealthy pods, claims; the plan as a table."""

import pytest
from workloads_kit import (
    condition,
    in_cluster,
    is_ready,
    items,
    meta,
    name,
    patch,
    pods,
    set_image,
    settle,
    status,
    until,
    workload,
)

from kubewheel.controllers import stateful_plan as plan
from kubewheel.lib.clock import rfc3339

S = "statefulsets.apps"
NOW = 1_800_000_000.0


def pod(n, revision="new", *, ready=True, phase="Running", terminating=False):
    out = {
        "metadata": {
            "name": f"db-{n}",
            "uid": f"u{n}",
            "namespace": "default",
            "labels": {plan.HASH: revision, **plan.identity_labels(f"db-{n}", n)},
        },
        "spec": {},
        "status": {
            "phase": phase,
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": rfc3339(NOW - 60)}
            ],
        },
    }
    if terminating:
        out["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    return out


def db_set(replicas, *, policy="OrderedReady", rolling=None, start=0, type_="RollingUpdate"):
    strategy = {"type": type_}
    if type_ == "RollingUpdate":
        strategy["rollingUpdate"] = {"partition": 0, **(rolling or {})}
    return {
        "metadata": {"name": "db", "namespace": "default", "uid": "s"},
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": policy,
            "updateStrategy": strategy,
            "ordinals": {"start": start},
        },
    }


def decide(s, owned, current="old", update="new"):
    todo = plan.plan(s, owned, current, update, NOW)
    return [n for n, _ in todo.create], [plan.ordinal_of(p) for p in todo.delete]


PARALLEL = {"policy": "Parallel"}


@pytest.mark.parametrize(
    ("s", "owned", "create", "delete"),
    [
        (db_set(3), [], [0], []),
        (db_set(3, **PARALLEL), [], [0, 1, 2], []),
        (db_set(2, start=5), [], [5], []),
        (db_set(3), [pod(0, ready=False)], [], []),
        (db_set(3), [pod(0), pod(2)], [1], []),
        (db_set(3), [pod(0, phase="Failed")], [], [0]),
        (db_set(2), [pod(0), pod(1, terminating=True)], [], []),
        # scale down: from the top, one at a time, not while a lower one is unhealthy
        (db_set(1), [pod(0), pod(1), pod(2)], [], [2]),
        (db_set(1, **PARALLEL), [pod(0), pod(1), pod(2)], [], [2, 1]),
        (db_set(0), [pod(0, ready=False), pod(1, ready=False)], [], []),
        (db_set(0), [pod(0), pod(1, ready=False)], [], [1]),
        (db_set(1), [pod(0, ready=False), pod(1)], [], []),
        # updates: from the top to the partition
        (db_set(3), [pod(0, "old"), pod(1, "old"), pod(2, "old")], [], [2]),
        (db_set(3), [pod(0, "old"), pod(1, "old"), pod(2)], [], [1]),
        (db_set(3, rolling={"partition": 2}), [pod(0, "old"), pod(1, "old"), pod(2)], [], []),
        (db_set(3, type_="OnDelete"), [pod(0, "old"), pod(1, "old"), pod(2, "old")], [], []),
        (db_set(3, **PARALLEL), [pod(0, "old"), pod(1, "old"), pod(2, ready=False)], [], []),
        (db_set(4, rolling={"maxUnavailable": 2}), [pod(n, "old") for n in range(4)], [], [3, 2]),
        (
            db_set(4, rolling={"maxUnavailable": 2}, **PARALLEL),
            [pod(0, "old"), pod(1, "old"), pod(2, "old"), pod(3, ready=False)],
            [],
            [2],
        ),
        (
            db_set(4, rolling={"maxUnavailable": 2}, **PARALLEL),
            [pod(0, "old", ready=False), pod(1, "old"), pod(2, "old"), pod(3, "old")],
            [],
            [3],
        ),
    ],
)
def test_plan(s, owned, create, delete):
    assert decide(s, owned) == (create, delete)


@pytest.mark.parametrize(("partition", "ordinal", "revision"), [(2, 1, "old"), (2, 2, "new"), (0, 0, "new")])
def test_a_pod_made_anew_knows_its_side_of_the_partition(partition, ordinal, revision):
    assert plan.revision_for(db_set(4, rolling={"partition": partition}), ordinal, "old", "new") == revision


def db(**spec):
    return workload("StatefulSet", "db", **{"serviceName": "db", **spec})


def have(n):
    return lambda s: (
        status(s).get("readyReplicas", 0) == n == status(s).get("replicas")
        and status(s).get("observedGeneration") == meta(s)["generation"]
    )


def gate(**more):
    return {"readinessGates": [{"conditionType": "test/up"}], **more}


async def set_up(c, pod_name, up):
    p = await c.client.get("pods", pod_name, namespace="default")
    new = [x for x in status(p)["conditions"] if x["type"] not in ("test/up", "Ready")]
    flag = "True" if up else "False"
    ready = {**condition(p, "Ready"), "status": flag, "lastTransitionTime": rfc3339(c.clock.now())}
    new += [{"type": "test/up", "status": flag}, ready]
    await c.client.update_status("pods", {**p, "status": {**status(p), "conditions": new}})
    await c.wait_for("pods", pod_name, lambda p: is_ready(p) is up)


def test_scaling_halts_while_a_pod_is_unhealthy():
    async def work(c):
        await c.client.create(S, db(replicas=1, pod_spec=gate()))
        await c.wait_for("pods", "db-0", lambda p: status(p).get("podIP"))
        await patch(c, S, "db", replicas=3)
        await settle(10)
        assert [name(p) for p in await pods(c, "db")] == ["db-0"]
        for n in range(3):
            await c.wait_for("pods", f"db-{n}", lambda p: status(p).get("podIP"))
            await set_up(c, f"db-{n}", True)
        await c.wait_for(S, "db", have(3))
        for n in range(3):
            await set_up(c, f"db-{n}", False)
        await patch(c, S, "db", replicas=0)
        await settle(10)
        assert len(await pods(c, "db")) == 3
        for n in range(3):
            await set_up(c, f"db-{n}", True)
        gone = []

        async def empty():
            left = sorted(name(p) for p in await pods(c, "db"))
            if not gone or gone[-1] != left:
                gone.append(left)
            return not left

        await until(c, empty)
        assert gone == [["db-0", "db-1", "db-2"], ["db-0", "db-1"], ["db-0"], []]

    in_cluster(work)


def test_parallel_scales_regardless():
    async def work(c):
        await c.client.create(S, db(replicas=3, podManagementPolicy="Parallel", pod_spec=gate()))

        async def count(n):
            return len(await pods(c, "db")) == n

        await until(c, lambda: count(3))
        await patch(c, S, "db", replicas=0)
        await until(c, lambda: count(0))

    in_cluster(work)


def test_canary_and_phased_update():
    async def work(c):
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
        await c.client.create(S, db(replicas=3, updateStrategy=strategy))
        s = await c.wait_for(S, "db", have(3), timeout=60)
        first = status(s)["currentRevision"]
        await set_image(c, S, "db", "nginx:2")
        s = await c.wait_for(S, "db", lambda s: status(s).get("updateRevision") != first)
        second = status(s)["updateRevision"]
        await settle(5)

        async def revisions():
            return [meta(p)["labels"][plan.HASH] for p in sorted(await pods(c, "db"), key=name)]

        async def are(*wanted):
            found = await pods(c, "db")
            return len(found) == 3 and all(map(is_ready, found)) and await revisions() == list(wanted)

        assert await revisions() == [first] * 3
        for partition, wanted in ((2, (first, first, second)), (0, (second, second, second))):
            if partition == 0:  # below the partition a deleted pod comes back as it was
                await c.client.delete("pods", "db-0", namespace="default")
                await c.client.delete("pods", "db-2", namespace="default")
                await settle(1)
                await until(c, lambda: are(first, first, second), what="restored pods")
            await patch(c, S, "db", updateStrategy={"rollingUpdate": {"partition": partition}})
            await until(c, lambda wanted=wanted: are(*wanted), what=f"partition {partition}")
        s = await c.wait_for(S, "db", lambda s: status(s)["currentRevision"] == second)
        assert status(s)["updatedReplicas"] == status(s)["currentReplicas"] == 3
        # rolled back: the first revision's object is used again
        await set_image(c, S, "db", "nginx:1")
        await c.wait_for(S, "db", lambda s: status(s)["currentRevision"] == first, timeout=90)
        assert len(await items(c, "controllerrevisions.apps")) == 2

    in_cluster(work)


def test_on_delete_replaces_only_deleted_pods():
    async def work(c):
        await c.client.create(S, db(replicas=2, updateStrategy={"type": "OnDelete"}))
        await c.wait_for(S, "db", have(2))
        await set_image(c, S, "db", "nginx:2")
        await settle(5)
        await c.client.delete("pods", "db-1", namespace="default")

        async def mixed():
            images = [p["spec"]["containers"][0]["image"] for p in sorted(await pods(c, "db"), key=name)]
            return images == ["nginx:1", "nginx:2"]

        await until(c, mixed)

    in_cluster(work)


def test_evicted_pod_is_made_again():
    async def work(c):
        await c.client.create(S, db(replicas=1))
        await c.wait_for(S, "db", have(1))
        (old,) = await pods(c, "db")
        next(n for n in c.nodes if n.name == old["spec"]["nodeName"]).fail_pod("default", "db-0", reason="Evicted")
        new = await c.wait_for("pods", "db-0", lambda p: meta(p)["uid"] != meta(old)["uid"])
        assert new["spec"]["hostname"] == "db-0" and new["spec"]["subdomain"] == "db"
        await c.wait_for(S, "db", have(1))

    in_cluster(work)


def test_min_ready_seconds_hold_the_next_pod():
    async def work(c):
        await c.client.create(S, db(replicas=2, minReadySeconds=30))
        await c.wait_for("pods", "db-0", is_ready)
        await settle(25)
        assert len(await pods(c, "db")) == 1
        s = await c.wait_for(S, "db", lambda s: status(s).get("availableReplicas") == 2, timeout=90)
        assert status(s)["readyReplicas"] == 2

    in_cluster(work)


def claims(**policy):
    template = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return {"volumeClaimTemplates": [template], **({"persistentVolumeClaimRetentionPolicy": policy} if policy else {})}


def test_claims_are_made_and_follow_their_policy():
    async def work(c):
        policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
        await c.client.create(S, db(replicas=2, podManagementPolicy="Parallel", **claims(**policy)))

        async def named(*wanted):
            # those that go may still be held by their protection
            found = [p for p in await items(c, "persistentvolumeclaims") if "deletionTimestamp" not in meta(p)]
            return sorted(map(name, found)) == list(wanted)

        await until(c, lambda: named("data-db-0", "data-db-1"))
        pod_0 = await c.wait_for("pods", "db-0")
        assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in pod_0["spec"]["volumes"]

        async def owner(claim):
            found = await c.client.get("persistentvolumeclaims", claim, namespace="default")
            return [r["kind"] for r in meta(found).get("ownerReferences") or ()]

        assert await owner("data-db-0") == ["StatefulSet"]
        await patch(c, S, "db", replicas=1)
        await until(c, lambda: named("data-db-0"), what="the claim of db-1 is gone")
        await c.client.delete(S, "db", namespace="default", propagation="Background")
        await until(c, named, what="all claims are gone")

    in_cluster(work)


def test_claims_are_kept_by_default():
    async def work(c):
        await c.client.create(S, db(replicas=1, **claims()))
        await c.wait_for("persistentvolumeclaims", "data-db-0")
        await c.client.delete(S, "db", namespace="default", propagation="Background")
        await c.wait_gone("pods", "db-0")
        await settle(5)
        assert [name(p) for p in await items(c, "persistentvolumeclaims")] == ["data-db-0"]

    in_cluster(work)
