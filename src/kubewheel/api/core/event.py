"""events.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.core.v1.Event",
    registry="events",
    has_generation=False,
    create_on_update=True,
)
