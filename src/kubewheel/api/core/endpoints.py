"""endpoints.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="Endpoints",
    plural="endpoints",
    singular="endpoints",
    short_names=("ep",),
    definition="io.k8s.api.core.v1.Endpoints",
    registry="services/endpoints",
    has_generation=False,
    create_on_update=True,
)
