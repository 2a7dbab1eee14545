"""deviceclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceClass",
    registry="deviceclasses",
    columns=(columns.NAME, columns.AGE),
)
