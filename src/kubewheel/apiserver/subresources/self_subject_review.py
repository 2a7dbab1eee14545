"""SelfSubjectReview: who am I? (`kubectl auth whoami`)

In: Call. Out: the review with status.userInfo. Called by: dispatch.
"""

from __future__ import annotations

from kubewheel.apiserver.call import Call
from kubewheel.apiserver.subresources.token_review import user_info
from kubewheel.client.transport import Response
from kubewheel.lib import clock as clocks


async def handle(call: Call) -> Response:
    review = call.typed_body()
    review.setdefault("metadata", {})["creationTimestamp"] = clocks.rfc3339(call.server.clock.now())
    review["status"] = {"userInfo": user_info(call.user)}
    return call.answer(review, status=201)
