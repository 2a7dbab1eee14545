"""controllerrevisions.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="apps",
    kind="ControllerRevision",
    plural="controllerrevisions",
    definition="io.k8s.api.apps.v1.ControllerRevision",
    registry="controllerrevisions",
    has_generation=False,
    unconditional_update=False,
)
