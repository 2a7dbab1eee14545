"""OwnerReferencesPermissionEnforcement (off by default): who sets ownerReferences must be allowed to delete the object,
and for blockOwnerDeletion to update the owner's finalizers.

In: writes that change metadata.ownerReferences. Out: 403.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes, RequestInfo


class OwnerReferencesPermissionEnforcement(AdmissionPlugin):
    name = "OwnerReferencesPermissionEnforcement"
    subresources = frozenset({""})

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.obj is None:
            return
        new, old = _references(attributes.obj), _references(attributes.old)
        if new == old:
            return
        resource = attributes.resource
        if attributes.operation == "UPDATE" and not await self._may(
                attributes, "delete", resource.group, resource.version, attributes.namespace, resource.plural,
                attributes.name):
            raise errors.forbidden(resource.plural, attributes.name,
                                   "cannot set an ownerRef on a resource you can't delete: ", group=resource.group)
        blocked_before = {r.get("uid") for r in old if r.get("blockOwnerDeletion")}
        for ref in new:
            if ref.get("blockOwnerDeletion") and ref.get("uid") not in blocked_before:
                await self._check_blocking(attributes, ref)

    async def _check_blocking(self, attributes: Attributes, ref: Object) -> None:
        group, _, version = ref["apiVersion"].rpartition("/")
        registry = self.context.options["server"].registry
        owner = registry.by_kind(group, ref["kind"], version)
        resource = attributes.resource
        if owner is None or not await self._may(attributes, "update", group, version,
                                                attributes.namespace if owner.namespaced else "", owner.plural,
                                                ref["name"], "finalizers"):
            raise errors.forbidden(resource.plural, attributes.name, (
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: "),
                group=resource.group)

    async def _may(self, attributes: Attributes, verb: str, group: str, version: str, namespace: str, plural: str,
                   name: str, sub: str = "") -> bool:
        info = RequestInfo(True, "", verb, "apis" if group else "api", group, version, namespace, plural, sub, name)
        return (await self.context.authorizer.authorize(attributes.user, info)).verdict == "allow"


def _references(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("ownerReferences") or []
