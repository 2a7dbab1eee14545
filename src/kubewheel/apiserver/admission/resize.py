"""PersistentVolumeClaimResize: only a bound claim of a class that allows it may grow.

In: updates of persistentvolumeclaims. Out: 403.
"""

from __future__ import annotations

from kubewheel.api import amounts, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes


class PersistentVolumeClaimResize(AdmissionPlugin):
    name = "PersistentVolumeClaimResize"
    resources = frozenset({"persistentvolumeclaims"})
    subresources = frozenset({""})

    async def validate(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if attributes.operation != "UPDATE" or resource.plural != "persistentvolumeclaims" or resource.group \
                or attributes.obj is None or attributes.old is None:
            return
        if _size(attributes.obj) <= _size(attributes.old):
            return
        if (attributes.old.get("status") or {}).get("phase") != "Bound":
            raise errors.forbidden("persistentvolumeclaims", attributes.name,
                                   "Only bound persistent volume claims can be expanded")
        name = (attributes.obj.get("spec") or {}).get("storageClassName") or ""
        found = (await self.context.caches.synced("storageclasses.storage.k8s.io")).get(None, name) if name else None
        if found is None or not found.get("allowVolumeExpansion"):
            raise errors.forbidden("persistentvolumeclaims", attributes.name, (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"))


def _size(claim: Object) -> amounts.Amount:
    return amounts.parse((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage") or "0")
