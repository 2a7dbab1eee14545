"""volumeattachments.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    registry="volumeattachments",
    subresources=(subresources.status("VolumeAttachment"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
)
