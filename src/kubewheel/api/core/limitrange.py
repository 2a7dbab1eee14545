"""limitranges.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="LimitRange",
    plural="limitranges",
    short_names=("limits",),
    definition="io.k8s.api.core.v1.LimitRange",
    registry="limitranges",
    has_generation=False,
    create_on_update=True,
)
