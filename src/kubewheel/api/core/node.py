"""nodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    definition="io.k8s.api.core.v1.Node",
    registry="minions",
    subresources=(subresources.status("Node"), Subresource("proxy", "NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")),),
    has_generation=False,
)
