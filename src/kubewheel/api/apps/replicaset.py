"""replicasets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    kind="ReplicaSet",
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.ReplicaSet",
    registry="replicasets",
    subresources=(subresources.status("ReplicaSet"),subresources.SCALE,),
    scale=ScalePaths(),
    prepare_create=subresources.drop_status,
)
