"""configmaps.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="ConfigMap",
    plural="configmaps",
    short_names=("cm",),
    definition="io.k8s.api.core.v1.ConfigMap",
    registry="configmaps",
    has_generation=False,
)
