"""POST to a collection."""

from __future__ import annotations

from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.verbs import write
from kubewheel.client.transport import Response


async def handle(call: Call) -> Response:
    write.check_options(call)
    obj = write.decode(call)
    write.check_address(call, obj)
    stored = await write.create(call, obj)
    return call.answer(await results.seen(call.resource, stored), status=201)
