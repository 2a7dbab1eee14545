"""Controllers against a whole cluster in virtual time."""

import importlib

from kubewheel.testing import virtual_time

cluster = importlib.import_module("kubewheel.testing.cluster").cluster


def template(app, image="nginx:1", **spec):
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": image}], **spec},
    }


def workload(kind, name, version="apps/v1", **spec):
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template(name), **spec},
    }


def status(obj):
    return obj.get("status") or {}


def rolled(n, generation):
    def check(d):
        s = status(d)
        return (
            s.get("observedGeneration") == generation
            and s.get("updatedReplicas") == n
            and s.get("replicas") == n
            and s.get("availableReplicas") == n
        )

    return check


def in_cluster(work, **options):
    async def main():
        async with cluster(**{"nodes": 2, **options}) as c:
            await work(c)

    virtual_time.run(main())


async def pods(c, app):
    return (await c.client.list("pods", namespace="default", label_selector=f"app={app}"))["items"]


def test_deployment_rolls_and_keeps_history():
    async def work(c):
        await c.client.create(
            "deployments.apps", workload("Deployment", "web", replicas=3, revisionHistoryLimit=1)
        )
        await c.wait_for("deployments.apps", "web", rolled(3, 1))
        for i, image in enumerate(("nginx:2", "nginx:3"), 2):
            patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
            await c.client.patch("deployments.apps", "web", patch, namespace="default")
            d = await c.wait_for("deployments.apps", "web", rolled(3, i), timeout=120)
            assert d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == str(i)
        progressing = {x["type"]: x["reason"] for x in status(d)["conditions"]}
        assert progressing == {
            "Available": "MinimumReplicasAvailable",
            "Progressing": "NewReplicaSetAvailable",
        }

        async def two_sets():
            sets = (await c.client.list("replicasets.apps", namespace="default"))["items"]
            return len(sets) == 2 and sorted(s["spec"]["replicas"] for s in sets) == [0, 3]

        await c.wait_until(two_sets)
        await c.client.patch("deployments.apps", "web", {"spec": {"replicas": 1}}, namespace="default")
        await c.wait_for("deployments.apps", "web", rolled(1, 4))

    in_cluster(work)


def test_deleted_deployment_takes_its_pods_along():
    async def work(c):
        await c.client.create("deployments.apps", workload("Deployment", "web", replicas=2))
        await c.wait_for("deployments.apps", "web", rolled(2, 1))
        await c.client.delete("deployments.apps", "web", namespace="default", propagation="Foreground")
        await c.wait_gone("deployments.apps", "web", timeout=120)
        assert (await c.client.list("replicasets.apps", namespace="default"))["items"] == []

        async def none_left():
            return not await pods(c, "web")

        await c.wait_until(none_left, timeout=60)

    in_cluster(work)


def test_orphaned_replica_set_is_adopted_again():
    async def work(c):
        await c.client.create("deployments.apps", workload("Deployment", "web", replicas=1))
        await c.wait_for("deployments.apps", "web", rolled(1, 1))
        await c.client.delete("deployments.apps", "web", namespace="default", propagation="Orphan")
        await c.wait_gone("deployments.apps", "web")
        (rs,) = (await c.client.list("replicasets.apps", namespace="default"))["items"]
        assert not rs["metadata"].get("ownerReferences")
        d = await c.client.create("deployments.apps", workload("Deployment", "web", replicas=1))
        await c.wait_for("deployments.apps", "web", rolled(1, 1))
        (rs,) = (await c.client.list("replicasets.apps", namespace="default"))["items"]
        assert rs["metadata"]["ownerReferences"][0]["uid"] == d["metadata"]["uid"]

    in_cluster(work)


def test_daemon_set_runs_everywhere_and_rolls():
    async def work(c):
        await c.client.create("daemonsets.apps", workload("DaemonSet", "agent"))
        await c.wait_for("daemonsets.apps", "agent", lambda d: status(d).get("numberAvailable") == 2)
        assert {p["spec"]["nodeName"] for p in await pods(c, "agent")} == {"node-0", "node-1"}
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
        await c.client.patch("daemonsets.apps", "agent", patch, namespace="default")
        await c.wait_for(
            "daemonsets.apps",
            "agent",
            lambda d: (
                status(d).get("observedGeneration") == 2
                and status(d).get("updatedNumberScheduled") == 2
                and status(d).get("numberAvailable") == 2
            ),
            timeout=120,
        )
        assert len((await c.client.list("controllerrevisions.apps", namespace="default"))["items"]) == 2

    in_cluster(work)


def test_stateful_set_in_order_and_updates():
    async def work(c):
        await c.client.create(
            "statefulsets.apps", workload("StatefulSet", "db", serviceName="db", replicas=3)
        )
        await c.wait_for(
            "statefulsets.apps", "db", lambda s: status(s).get("availableReplicas") == 3, timeout=60
        )
        found = sorted(await pods(c, "db"), key=lambda p: p["metadata"]["creationTimestamp"])
        assert [p["metadata"]["name"] for p in found] == ["db-0", "db-1", "db-2"]
        assert found[1]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
        patch = {
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}
        }
        await c.client.patch("statefulsets.apps", "db", patch, namespace="default")
        s = await c.wait_for(
            "statefulsets.apps",
            "db",
            lambda s: (
                status(s).get("updatedReplicas") == 2
                and status(s).get("readyReplicas") == 2
                and status(s)["currentRevision"] == status(s)["updateRevision"]
            ),
            timeout=200,
        )
        assert status(s)["replicas"] == 2

    in_cluster(work)


def job(name, **spec):
    tail = {"kubewheel.dev/run-seconds": "1"}
    pod = {
        "metadata": {"labels": {"app": name}, "annotations": tail},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": pod, **spec},
    }


def test_service_gets_endpoints():
    async def work(c):
        await c.client.create("deployments.apps", workload("Deployment", "web", replicas=2))
        await c.client.create(
            "services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
            },
        )
        await c.wait_for("deployments.apps", "web", rolled(2, 1))
        e = await c.wait_for(
            "endpoints", "web", lambda e: e.get("subsets") and len(e["subsets"][0].get("addresses", [])) == 2
        )
        assert e["subsets"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]

        async def both():
            found = (
                await c.client.list(
                    "endpointslices.discovery.k8s.io",
                    namespace="default",
                    label_selector="kubernetes.io/service-name=web",
                )
            )["items"]
            return len(found) == 1 and [x["conditions"]["ready"] for x in found[0]["endpoints"]] == [
                True,
                True,
            ]

        await c.wait_until(both)
        await c.client.delete("services", "web", namespace="default")
        await c.wait_gone("endpoints", "web")

    in_cluster(work)


def test_namespace_is_furnished_and_emptied():
    async def work(c):
        await c.client.create(
            "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
        )
        await c.wait_for("serviceaccounts", "default", namespace="team")
        ca = await c.wait_for("configmaps", "kube-root-ca.crt", namespace="team")
        assert "BEGIN CERTIFICATE" in ca["data"]["ca.crt"]
        d = workload("Deployment", "web", replicas=2)
        d["metadata"]["namespace"] = "team"
        await c.client.create("deployments.apps", d)
        await c.wait_for("deployments.apps", "web", rolled(2, 1), namespace="team")
        await c.client.delete("namespaces", "team")
        await c.wait_gone("namespaces", "team", namespace=None, timeout=120)

    in_cluster(work)


def test_budget_counts_healthy_pods():
    async def work(c):
        await c.client.create("deployments.apps", workload("Deployment", "web", replicas=3))
        await c.client.create(
            "poddisruptionbudgets.policy",
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
            },
        )
        pdb = await c.wait_for(
            "poddisruptionbudgets.policy", "web", lambda p: status(p).get("disruptionsAllowed") == 1
        )
        assert (
            status(pdb)["expectedPods"],
            status(pdb)["desiredHealthy"],
            status(pdb)["currentHealthy"],
        ) == (3, 2, 3)

    in_cluster(work)


def test_job_completes():
    async def work(c):
        await c.client.create("jobs.batch", job("sum", completions=3, parallelism=2))
        j = await c.wait_for("jobs.batch", "sum", lambda j: status(j).get("completionTime"), timeout=120)
        assert status(j)["succeeded"] == 3 and not status(j).get("failed")
        assert [x["type"] for x in status(j)["conditions"]] == ["SuccessCriteriaMet", "Complete"]
        assert all(not p["metadata"].get("finalizers") for p in await pods(c, "sum"))

    in_cluster(work)
