"""TokenReview: whose token is this? (authentication.k8s.io)

In: Call with spec.token, spec.audiences. Out: the review with its status. Called by: dispatch.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.authn.tokens import BadToken
from kubewheel.apiserver.call import Call
from kubewheel.client.transport import Identity, Response


async def handle(call: Call) -> Response:
    review = call.typed_body()
    spec = review.get("spec") or {}
    token = spec.get("token") or ""
    if not token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    if review.get("metadata", {}).get("namespace"):
        raise errors.bad_request("namespace is not allowed for this type: "
                                 f"{review['metadata']['namespace']}")
    review["status"] = await _status(call, token, tuple(spec.get("audiences") or ()))
    review.setdefault("metadata", {})
    return call.answer(review, status=201)


async def _status(call: Call, token: str, audiences: tuple[str, ...]) -> Object:
    authentication = call.server.authenticator
    try:
        found = await authentication.tokens.review(token, audiences)
    except BadToken as e:
        return {"error": str(e), "user": {}}
    held = found.audiences or authentication.service_accounts.audiences
    return {"authenticated": True, "user": user_info(found.user), "audiences": list(held)}


def user_info(user: Identity) -> Object:
    """authentication.k8s.io UserInfo."""
    out: Object = {"username": user.name}
    if user.uid:
        out["uid"] = user.uid
    if user.groups:
        out["groups"] = list(user.groups)
    if user.extra:
        out["extra"] = {k: list(v) for k, v in user.extra.items()}
    return out
