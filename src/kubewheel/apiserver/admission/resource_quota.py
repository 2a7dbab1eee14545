"""ResourceQuota: nothing is made beyond what the namespace's quotas leave, and what is made is taken off at once.

In: writes to namespaced objects, last of all plugins. Out: quota statuses raised; 403. The quota controller later counts
anew and gives back what a failed write took, or a deleted object used.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable

from kubewheel.api import amounts, codec, errors
from kubewheel.api import quota as usage
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import AdmissionContext, AdmissionPlugin, Attributes

MAX_ATTEMPTS = 20
# objects that say nothing of the namespace's use, and would be counted for every request
UNCOUNTED = {"events", "bindings", "leases", "tokenreviews", "localsubjectaccessreviews"}


class ResourceQuota(AdmissionPlugin):
    name = "ResourceQuota"
    subresources = frozenset({"", "resize"})

    def __init__(self, context: AdmissionContext) -> None:
        super().__init__(context)
        # by namespace; each lives as long as somebody holds or awaits it
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def validate(self, attributes: Attributes) -> None:
        if not _concerns(attributes):
            return
        if not await self._quotas(attributes.namespace):
            return
        # one at a time in a namespace: two pods must not both take the last place
        lock = self._locks.setdefault(attributes.namespace, asyncio.Lock())
        async with lock:
            await self._take(attributes)

    async def _quotas(self, namespace: str) -> list[Object]:
        cache = self.context.caches.get("resourcequotas")
        await cache.wait_synced()
        return cache.list(namespace)

    async def _take(self, attributes: Attributes) -> None:
        listed = await self.context.client.list("resourcequotas", namespace=attributes.namespace)
        for quota in sorted(listed["items"], key=lambda q: q["metadata"]["name"]):
            for attempt in range(MAX_ATTEMPTS):
                changed = charged(attributes, quota)
                if changed is None or attributes.dry_run:
                    break
                try:
                    await self.context.client.update_status("resourcequotas", changed)
                    break
                except errors.StatusError as e:
                    if e.reason == "NotFound":
                        break  # the quota was deleted meanwhile: nothing limits any more
                    if e.reason != "Conflict" or attempt == MAX_ATTEMPTS - 1:
                        raise
                await asyncio.sleep(0.001 * attempt)  # the controller wrote at the same time
                quota = await self.context.client.get("resourcequotas", quota["metadata"]["name"],
                                                      namespace=attributes.namespace)


def _concerns(attributes: Attributes) -> bool:
    resource = attributes.resource
    if not attributes.namespace or not resource.namespaced or resource.plural in UNCOUNTED or attributes.obj is None:
        return False
    if attributes.operation == "CREATE":
        return not attributes.subresource
    if attributes.operation != "UPDATE" or resource.group:
        return False
    if resource.plural == "pods":
        return attributes.subresource in ("", "resize")
    return resource.plural in ("services", "persistentvolumeclaims") and not attributes.subresource


def charged(attributes: Attributes, quota: Object) -> Object | None:
    """The quota with the write taken off; None if it is not concerned. StatusError 403 if it does not reach."""
    resource, obj = attributes.resource, attributes.obj or {}
    plural, group = resource.plural, resource.group
    if not usage.matches_scopes(quota, plural, group, obj):
        return None
    # The status's: until the controller has counted, a quota holds nobody back.
    hard = {k: amounts.parse(v) for k, v in ((quota.get("status") or {}).get("hard") or {}).items()}
    delta = usage.of_object(plural, group, obj)
    name = quota["metadata"]["name"]
    if plural == "pods" and not group and not usage.is_terminal(obj):
        missing = usage.missing_requests(obj, hard)
        if missing:
            raise errors.forbidden(plural, attributes.name, f"failed quota: {name}: must specify {'; '.join(missing)}")
    if attributes.operation == "UPDATE" and attributes.old is not None \
            and usage.matches_scopes(quota, plural, group, attributes.old):
        delta = usage.subtract(delta, usage.of_object(plural, group, attributes.old))
    delta = {k: v for k, v in delta.items() if k in hard and v != amounts.ZERO}
    if not delta:
        return None
    used = {k: amounts.parse(v) for k, v in ((quota.get("status") or {}).get("used") or {}).items()}
    unknown = sorted(k for k in delta if k not in used)
    if unknown:
        raise errors.forbidden(plural, attributes.name,
                               f"status unknown for quota: {name}, resources: {','.join(unknown)}", group=group)
    fresh = {k: used[k] + v for k, v in delta.items()}
    exceeded = sorted(k for k, v in fresh.items() if delta[k] > amounts.ZERO and v > hard[k])
    if exceeded:
        raise errors.forbidden(plural, attributes.name, (
            f"exceeded quota: {name}, requested: {_shown(delta, exceeded)}, used: {_shown(used, exceeded)}, "
            f"limited: {_shown(hard, exceeded)}"), group=group)
    out = codec.copy(quota)
    out["status"]["used"] |= {k: str(v) for k, v in fresh.items()}
    return out


def _shown(amounts_: usage.Usage, names: Iterable[str]) -> str:
    return ",".join(f"{n}={amounts_[n]}" for n in names)
