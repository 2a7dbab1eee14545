"""Builders and questions that the tests of the workload controllers share."""

import asyncio
import importlib

from kubewheel.testing import virtual_time

cluster = importlib.import_module("kubewheel.testing.cluster").cluster


def in_cluster(work, **options):
    """Runs `work(cluster)` in virtual time; gives back what it returns."""

    async def main():
        async with cluster(**{"nodes": 2, **options}) as c:
            if options.get("controllers", "*").startswith("*"):
                await c.wait_for("serviceaccounts", "default")  # bare pods need it
            return await work(c)

    return virtual_time.run(main())


def template(app, image="nginx:1", annotations=None, labels=None, **spec):
    meta = {"labels": {"app": app, **(labels or {})}}
    if annotations:
        meta["annotations"] = {f"kubewheel.dev/{k}": str(v) for k, v in annotations.items()}
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def workload(kind, name, *, annotations=None, namespace="default", pod_spec=None, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, annotations=annotations, **(pod_spec or {})),
            **spec,
        },
    }


def job(name, *, annotations=None, restart="Never", pod_spec=None, **spec):
    pod = template(
        name,
        "busybox",
        annotations={"run-seconds": 1, **(annotations or {})},
        restartPolicy=restart,
        **(pod_spec or {}),
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": pod, **spec},
    }


def service(name, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def status(obj):
    return obj.get("status") or {}


def meta(obj):
    return obj["metadata"]


def name(obj):
    return obj["metadata"]["name"]


def condition(obj, type_):
    return next((c for c in status(obj).get("conditions") or () if c["type"] == type_), {})


def conditions(obj):
    return {c["type"]: (c["status"], c.get("reason", "")) for c in status(obj).get("conditions") or ()}


def is_ready(pod):
    return condition(pod, "Ready").get("status") == "True"


async def items(c, resource, selector=None, namespace="default"):
    return (await c.client.list(resource, namespace=namespace, label_selector=selector))["items"]


async def pods(c, app, namespace="default"):
    return await items(c, "pods", f"app={app}", namespace)


async def patch(c, resource, name, **spec):
    return await c.client.patch(resource, name, {"spec": spec}, namespace="default")


async def set_image(c, resource, name, image, annotations=None):
    new = {"spec": {"containers": [{"name": "c", "image": image}]}}
    if annotations is not None:
        new["metadata"] = {
            "annotations": {f"kubewheel.dev/{k}": None if v is None else str(v) for k, v in annotations.items()}
        }
    return await patch(c, resource, name, template=new)


async def events(c, reason=None, namespace="default"):
    found = await items(c, "events", namespace=namespace)
    return [e for e in found if reason is None or e["reason"] == reason]


async def until(c, check, timeout=60.0, what="condition"):
    return await c.wait_until(check, timeout=timeout, what=what)


async def settle(seconds=5.0):
    """Virtual seconds in which nothing more should happen."""
    await asyncio.sleep(seconds)


def rolled(n):
    """A Deployment whose newest generation is out on `n` pods."""

    def check(d):
        s = status(d)
        return (
            s.get("observedGeneration") == d["metadata"]["generation"]
            and s.get("updatedReplicas", 0) == s.get("replicas", 0) == s.get("availableReplicas", 0) == n
        )

    return check
