"""deployments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, ScalePaths

RESOURCE = Resource(
    group="apps",
    kind="Deployment",
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment",
    registry="deployments",
    subresources=(subresources.status("Deployment"),subresources.SCALE,),
    scale=ScalePaths(),
    prepare_create=subresources.drop_status,
)
