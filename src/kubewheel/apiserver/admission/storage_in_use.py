"""StorageObjectInUseProtection: claims, volumes and attributes classes do not vanish while they are used.

In: new persistentvolumeclaims, persistentvolumes, volumeattributesclasses. Out: their protection finalizer.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(AdmissionPlugin):
    name = "StorageObjectInUseProtection"
    resources = frozenset(FINALIZERS)
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        finalizer = FINALIZERS.get(attributes.resource.qualified)
        if finalizer is None or attributes.operation != "CREATE" or attributes.obj is None:
            return
        meta = attributes.obj["metadata"]
        if finalizer not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]
