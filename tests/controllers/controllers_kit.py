"""What tests of controllers share: a pod that runs for ever, and a namespace that is ready for pods."""


def pod(name, *, cpu="100m", namespace="default", labels=None, volumes=(), **spec):
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "spec": {
        "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}],
        "volumes": list(volumes), **spec}}


async def ready_for_pods(cluster, namespace="default"):
    """Pods need their ServiceAccount."""
    if await cluster.client.find("serviceaccounts", "default", namespace=namespace) is None:
        await cluster.client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": namespace}})
