"""DefaultStorageClass: a claim that names no class gets the default one.

In: new persistentvolumeclaims. Out: spec.storageClassName.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

ANNOTATIONS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


class DefaultStorageClass(AdmissionPlugin):
    name = "DefaultStorageClass"
    resources = frozenset({"persistentvolumeclaims"})
    subresources = frozenset({""})

    async def mutate(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if attributes.operation != "CREATE" or resource.plural != "persistentvolumeclaims" or resource.group \
                or attributes.obj is None:
            return
        spec = attributes.obj.setdefault("spec", {})
        annotations = attributes.obj["metadata"].get("annotations") or {}
        if spec.get("storageClassName") is not None or "volume.beta.kubernetes.io/storage-class" in annotations:
            return
        default = newest_default((await self.context.caches.synced("storageclasses.storage.k8s.io")).list())
        if default is not None:
            spec["storageClassName"] = default["metadata"]["name"]


def newest_default(classes: Iterable[Object]) -> Object | None:
    """Of several marked classes the newest counts, then the first by name."""
    marked = [c for c in classes
              if any((c["metadata"].get("annotations") or {}).get(a) == "true" for a in ANNOTATIONS)]
    marked.sort(key=lambda c: c["metadata"]["name"])
    marked.sort(key=lambda c: c["metadata"].get("creationTimestamp") or "", reverse=True)
    return marked[0] if marked else None
