"""Every example through a real API server: created, read back, written again unchanged, listed."""

from __future__ import annotations

from tests.api.test_catalog import EXAMPLES, resource_of

from kubewheel.api import catalog, codec
from kubewheel.testing.cluster import cluster


async def test_examples_are_stored_and_written_back():
    async with cluster(nodes=0, controllers="", scheduler=False) as c:
        order = ("Namespace", "ServiceAccount")
        docs = sorted(EXAMPLES, key=lambda d: order.index(d["kind"]) if d["kind"] in order else len(order))
        for doc in docs:
            resource = resource_of(doc)
            obj = codec.copy(doc)
            obj["metadata"].pop("uid", None)
            if resource.hub is not None:
                obj["metadata"]["name"] += "-other"
            elif obj["kind"] == "ServiceAccount":
                obj["metadata"]["name"] = "default"
            made = await c.client.create(resource.gvr, obj)
            assert made["kind"] == resource.kind
            again = await c.client.update(resource.gvr, codec.copy(made))
            assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"], resource.kind
        for resource in catalog.RESOURCES:
            if "list" in resource.verbs and not resource.not_stored:
                await c.client.list(resource.gvr)
