"""pods.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    kind="Pod",
    plural="pods",
    short_names=("po",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Pod",
    registry="pods",
    subresources=(subresources.status("Pod"),
        Subresource("binding", "Binding", verbs=("create",)),
        Subresource("eviction", "Eviction", group="policy", version="v1", verbs=("create",)),
        Subresource("ephemeralcontainers", "Pod", owns=(("spec", "ephemeralContainers"),)),
        Subresource("resize", "Pod", owns=(("spec", "containers"), ("spec", "initContainers"), ("spec", "resources"))),
        Subresource("log", "Pod", verbs=("get",)),
        Subresource("exec", "PodExecOptions", verbs=("create", "get")),
        Subresource("attach", "PodAttachOptions", verbs=("create", "get")),
        Subresource("portforward", "PodPortForwardOptions", verbs=("create", "get")),
        Subresource("proxy", "PodProxyOptions", verbs=("create", "delete", "get", "patch", "update")),
    ),
)
