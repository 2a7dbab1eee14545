"""statefulsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    kind="StatefulSet",
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.StatefulSet",
    registry="statefulsets",
    subresources=(subresources.status("StatefulSet"),subresources.SCALE,),
    scale=ScalePaths(),
    prepare_create=subresources.drop_status,
)
