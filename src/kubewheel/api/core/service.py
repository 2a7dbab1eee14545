"""services.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    kind="Service",
    plural="services",
    short_names=("svc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.Service",
    registry="services/specs",
    subresources=(subresources.status("Service"), Subresource("proxy", "ServiceProxyOptions", verbs=("create", "delete", "get", "patch", "update")),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    name_rule="label-1035",
    create_on_update=True,
)
