"""flowschemas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    definition="io.k8s.api.flowcontrol.v1.FlowSchema",
    registry="flowschemas",
    subresources=(subresources.status("FlowSchema"),),
    prepare_create=subresources.drop_status,
)
