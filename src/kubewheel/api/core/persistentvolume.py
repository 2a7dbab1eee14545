"""persistentvolumes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    definition="io.k8s.api.core.v1.PersistentVolume",
    registry="persistentvolumes",
    subresources=(subresources.status("PersistentVolume"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
)
