"""The way of a pod, through a real API server in virtual time."""

from kubewheel.testing import virtual_time
from kubewheel.testing.cluster import cluster


def make(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_a_pod_is_scheduled_and_runs():
    async def main():
        async with cluster(nodes=2) as c:
            await c.client.create("pods", make("p"))
            p = await c.wait_for("pods", "p", lambda p: p["status"].get("phase") == "Running")
            assert p["spec"]["nodeName"].startswith("node-")
            assert p["status"]["podIP"]

    virtual_time.run(main())
