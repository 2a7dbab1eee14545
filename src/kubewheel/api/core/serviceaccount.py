"""serviceaccounts.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    kind="ServiceAccount",
    plural="serviceaccounts",
    short_names=("sa",),
    definition="io.k8s.api.core.v1.ServiceAccount",
    registry="serviceaccounts",
    subresources=(Subresource("token", "TokenRequest", group="authentication.k8s.io", version="v1", verbs=("create",)),),
    has_generation=False,
)
