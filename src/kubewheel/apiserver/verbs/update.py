"""PUT of an object or of one of its generic subresources (status)."""

from __future__ import annotations

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write
from kubewheel.client.transport import Response


async def handle(call: Call) -> Response:
    write.check_options(call)
    body = write.decode(call)
    if not body["metadata"].get("name"):
        raise errors.bad_request(f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided")
    write.check_address(call, body)

    def make(live: Object | None) -> Object:
        return codec.copy(body)

    stored, created = await write.update(call, make, may_create=call.resource.create_on_update and call.sub is None)
    return call.answer(await results.seen(call.resource, stored), status=201 if created else 200)
