"""NamespaceLifecycle: nothing new in a namespace that is going away or not there; the first three namespaces stay.
NamespaceExists, NamespaceAutoProvision: its older kin, off by default.

In: writes to namespaced objects, deletions of namespaces. Out: 403/404.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

IMMORTAL = ("default", "kube-system", "kube-public")
REVIEWS = {"localsubjectaccessreviews"}  # answered, not stored: asking about any namespace is fine


def is_namespace(attributes: Attributes) -> bool:
    return attributes.resource.plural == "namespaces" and not attributes.resource.group


class _NamespacePlugin(AdmissionPlugin):
    async def _find(self, name: str) -> Object | None:
        cache = self.context.caches.get("namespaces")
        found = cache.get(None, name) if cache.is_synced() else None
        # the cache may be behind: a namespace made a moment ago must be seen
        return found if found is not None else await self.context.client.find("namespaces", name)


class NamespaceLifecycle(_NamespacePlugin):
    name = "NamespaceLifecycle"

    async def mutate(self, attributes: Attributes) -> None:
        if is_namespace(attributes):
            if attributes.operation == "DELETE" and attributes.name in IMMORTAL:
                raise errors.forbidden("namespaces", attributes.name, "this namespace may not be deleted")
            return
        if not attributes.namespace or not attributes.resource.namespaced or attributes.operation == "DELETE" \
                or attributes.resource.plural in REVIEWS:
            return
        namespace = await self._find(attributes.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", attributes.namespace)
        if attributes.operation != "CREATE" or not _is_terminating(namespace):
            return
        # The cache may know an older namespace of the same name, deleted and made again: ask.
        live = await self.context.client.find("namespaces", attributes.namespace)
        if live is None:
            raise errors.not_found("namespaces", attributes.namespace)
        if _is_terminating(live):
            raise _terminating(attributes)


def _is_terminating(namespace: Object) -> bool:
    return bool(namespace["metadata"].get("deletionTimestamp")) \
        or (namespace.get("status") or {}).get("phase") == "Terminating"


def _terminating(attributes: Attributes) -> errors.StatusError:
    error = errors.forbidden(
        attributes.resource.plural, attributes.name,
        f"unable to create new content in namespace {attributes.namespace} because it is being terminated",
        group=attributes.resource.group)
    error.status["details"]["causes"] = [{
        "reason": "NamespaceTerminating", "message": f"namespace {attributes.namespace} is being terminated",
        "field": "metadata.namespace"}]
    return error


class NamespaceExists(_NamespacePlugin):
    name = "NamespaceExists"

    async def validate(self, attributes: Attributes) -> None:
        if not attributes.namespace or is_namespace(attributes):
            return
        if await self._find(attributes.namespace) is None:
            raise errors.not_found("namespaces", attributes.namespace)


class NamespaceAutoProvision(_NamespacePlugin):
    name = "NamespaceAutoProvision"

    async def mutate(self, attributes: Attributes) -> None:
        if not attributes.namespace or is_namespace(attributes) or attributes.operation != "CREATE" \
                or attributes.dry_run or await self._find(attributes.namespace) is not None:
            return
        try:
            await self.context.client.create("namespaces", {
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": attributes.namespace}})
        except errors.StatusError as e:
            if e.reason != "AlreadyExists":
                raise
