"""volumeattributesclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    definition="io.k8s.api.storage.v1.VolumeAttributesClass",
    registry="volumeattributesclasses",
    has_generation=False,
)
