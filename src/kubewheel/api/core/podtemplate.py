"""podtemplates: a pod template on its own.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="PodTemplate",
    plural="podtemplates",
    definition="io.k8s.api.core.v1.PodTemplate",
    registry="podtemplates",
    create_on_update=True,
)
