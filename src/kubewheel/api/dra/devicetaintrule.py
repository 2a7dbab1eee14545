"""devicetaintrules.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceTaintRule",
    plural="devicetaintrules",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceTaintRule",
    registry="devicetaintrules",
    subresources=(subresources.status("DeviceTaintRule"),),
    prepare_create=subresources.drop_status,
    columns=(columns.NAME, columns.AGE),
)
