"""persistentvolumeclaims.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    registry="persistentvolumeclaims",
    subresources=(subresources.status("PersistentVolumeClaim"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
