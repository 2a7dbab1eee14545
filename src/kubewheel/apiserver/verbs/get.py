"""GET of one object: the store's bytes with the revision spliced in."""

from __future__ import annotations

from kubewheel.api import codec, errors
from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.results import Stored
from kubewheel.apiserver.verbs import keys
from kubewheel.apiserver.verbs import list as listing
from kubewheel.apiserver.watch_cache import Entry
from kubewheel.client.transport import Response


async def entry(call: Call, name: str = "") -> Entry:
    """The object's current entry; 404."""
    found = await find(call, name)
    if found is None:
        raise errors.not_found(call.resource.plural, name or call.name, group=call.resource.group)
    return found


async def find(call: Call, name: str = "") -> Entry | None:
    server = call.server
    hub = server.registry.hub_of(call.resource)
    key = keys.key(hub, call.namespace, name or call.name)
    stored = await server.store.get(key)
    if stored is None:
        return None
    cached = server.watch_cache.resource(hub.registry).entries.get(key)
    if cached is not None and cached.revision == stored.revision:
        return cached  # shares its decoded dict
    return Entry(key, stored.revision, codec.splice(stored.value, stored.revision))


async def handle(call: Call) -> Response:
    if call.request.flag("export"):
        raise errors.bad_request("the export parameter, deprecated since v1.14, is no longer supported")
    version = call.request.first("resourceVersion")
    if version not in ("", "0"):  # at least that new
        await listing.reach(call, version, code=500)
    found = await results.converted(call.resource, [await entry(call)])
    return Response(obj=Stored(call.resource, found[0]))
