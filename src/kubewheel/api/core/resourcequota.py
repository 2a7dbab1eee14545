"""resourcequotas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="ResourceQuota",
    plural="resourcequotas",
    short_names=("quota",),
    definition="io.k8s.api.core.v1.ResourceQuota",
    registry="resourcequotas",
    subresources=(subresources.status("ResourceQuota"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
