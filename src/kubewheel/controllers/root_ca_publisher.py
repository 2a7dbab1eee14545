"""Every namespace has the ConfigMap kube-root-ca.crt, so that pods can check the API server's certificate.

In: namespaces, configmaps, the root CA (flag root-ca-file). Out: config maps.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
    "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
    "Kubernetes clusters."
)


async def reconcile(context: Context, key: str) -> None:
    namespace = context.cache("namespaces").get(None, key)
    if namespace is None or "deletionTimestamp" in namespace["metadata"]:
        return
    annotations = {"kubernetes.io/description": DESCRIPTION}
    data = {"ca.crt": context.state}
    found = context.cache("configmaps").get(key, NAME)
    try:
        if found is None:
            await context.client.create(
                "configmaps",
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": NAME, "namespace": key, "annotations": annotations},
                    "data": data,
                },
            )
        elif (
            found.get("data") != data
            or not annotations.items() <= (found["metadata"].get("annotations") or {}).items()
        ):
            new = codec.copy(found)
            new["data"] = data
            new["metadata"].setdefault("annotations", {}).update(annotations)
            await context.client.update("configmaps", new)
    except errors.StatusError as e:
        if e.reason != "AlreadyExists" and not runner.is_terminating(e):
            raise


def _changed(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    obj = new or old
    if obj is not None and obj["metadata"]["name"] == NAME:
        yield obj["metadata"]["namespace"]


CONTROLLER = Controller(
    name="root-ca-certificate-publisher-controller",
    reconcile=reconcile,
    setup=lambda context: settings.pem(context, "root-ca"),
    watches=(Watch("namespaces", own_key), Watch("configmaps", _changed)),
    rules=(rule("", "configmaps", "create update"), rule("", "namespaces configmaps", READ), events()),
)
