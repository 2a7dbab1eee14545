"""The server's own change of a stored object (binding …): no admission, no validation, no managedFields; retried on races.

In: a Call and a change in place. Out: the changed object. Called by: subresources.
"""

from __future__ import annotations

from collections.abc import Callable

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import keys
from kubewheel.storage import store as stores

MAX_ATTEMPTS = 8


async def mutate(call: Call, plural: str, change: Callable[[Object], None]) -> Object:
    """The server's own change of a stored object (binding, scale …): no admission, no validation, retried on races."""
    hub = call.server.registry.hub_of(call.resource if call.resource.plural == plural else _core(call, plural))
    key = keys.key(hub, call.namespace, call.name)
    for _ in range(MAX_ATTEMPTS):
        stored = await call.server.store.get(key)
        if stored is None:
            raise errors.not_found(hub.plural, call.name, group=hub.group)
        obj = codec.loads(codec.splice(stored.value, stored.revision))
        change(obj)
        if call.dry_run:
            return obj
        try:
            revision = await call.server.store.update(key, codec.to_stored(obj), expected=stored.revision)
        except stores.Conflict:
            continue
        obj["metadata"]["resourceVersion"] = str(revision)
        return obj
    raise errors.conflict(hub.plural, call.name, group=hub.group)


def _core(call: Call, plural: str) -> Resource:
    from kubewheel.api.resource import Gvr

    resource = call.server.registry.lookup(Gvr("", "v1", plural))
    assert resource is not None
    return resource
