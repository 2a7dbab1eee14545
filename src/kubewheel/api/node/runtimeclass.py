"""runtimeclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="node.k8s.io",
    kind="RuntimeClass",
    plural="runtimeclasses",
    namespaced=False,
    definition="io.k8s.api.node.v1.RuntimeClass",
    registry="runtimeclasses",
    has_generation=False,
    unconditional_update=False,
)
