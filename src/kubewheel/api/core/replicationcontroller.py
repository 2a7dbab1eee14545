"""replicationcontrollers.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, ScalePaths

RESOURCE = Resource(
    kind="ReplicationController",
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    definition="io.k8s.api.core.v1.ReplicationController",
    registry="controllers",
    subresources=(subresources.status("ReplicationController"),subresources.SCALE,),
    scale=ScalePaths(),
    prepare_create=subresources.drop_status,
)
