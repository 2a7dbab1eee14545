"""May they? SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview.

In: Call with spec. Out: the review with its status. Called by: dispatch (authorization.k8s.io).
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.apiserver.call import Call
from kubewheel.client.transport import Identity, Response


async def handle(call: Call) -> Response:
    review = call.typed_body()
    spec = review.get("spec") or {}
    kind = call.resource.kind
    review.setdefault("metadata", {})
    if kind == "SelfSubjectRulesReview":
        review["status"] = _rules(call, spec)
        return call.answer(review, status=201)
    _check(kind, review, spec, call.namespace)
    user = call.user if kind == "SelfSubjectAccessReview" else _subject(spec)
    review["status"] = await _decide(call, user, info_of(spec))
    return call.answer(review, status=201)


def _rules(call: Call, spec: Object) -> Object:
    namespace = spec.get("namespace") or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    resources, urls, incomplete = call.server.authorizer.rules_for(call.user, namespace)
    return {"resourceRules": resources, "nonResourceRules": urls, "incomplete": incomplete}


def _check(kind: str, review: Object, spec: Object, namespace: str) -> None:
    findings: list[errors.FieldError] = []
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        findings.append(errors.field_invalid("spec.nonResourceAttributes", path,
                                             "cannot be specified in combination with resourceAttributes"))
    if resource is None and path is None:
        findings.append(errors.field_invalid(
            "spec.resourceAttributes", None, "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        findings.append(errors.field_invalid("spec.user", "", "at least one of user or group must be specified"))
    if kind == "LocalSubjectAccessReview":
        if path is not None:
            findings.append(errors.field_invalid("spec.nonResourceAttributes", path,
                                                 "disallowed on this kind of request"))
        if resource is not None and resource.get("namespace") != namespace:
            findings.append(errors.field_invalid("spec.resourceAttributes.namespace", resource.get("namespace", ""),
                                                 "must match metadata.namespace"))
    if findings:
        raise errors.invalid(kind, "", findings, group="authorization.k8s.io")


def _subject(spec: Object) -> Identity:
    return Identity(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()),
                    {k: list(v) for k, v in (spec.get("extra") or {}).items()})


def info_of(spec: Object) -> RequestInfo:
    """The question of a review as the authorizers take it."""
    if (path := spec.get("nonResourceAttributes")) is not None:
        return RequestInfo(False, path.get("path") or "", path.get("verb") or "")
    asked: Object = spec.get("resourceAttributes") or {}

    def text(field: str) -> str:
        return asked.get(field) or ""

    return RequestInfo(True, "", text("verb"), "apis" if text("group") else "api", text("group"), text("version"),
                       text("namespace"), text("resource"), text("subresource"), text("name"),
                       field_selector=_selector(asked.get("fieldSelector")))


def _selector(selector: Any) -> str:
    """The field selector of the question as text: raw, or its requirements of one value."""
    if not selector:
        return ""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    return ",".join(f"{r['key']}={r['values'][0]}" for r in selector.get("requirements") or ()
                    if r.get("operator") == "In" and len(r.get("values") or ()) == 1)


async def _decide(call: Call, user: Identity, info: RequestInfo) -> Object:
    decision = await call.server.authorizer.authorize(user, info)
    out: Object = {"allowed": decision.verdict == "allow"}
    if decision.verdict == "deny":
        out["denied"] = True
    if decision.reason:
        out["reason"] = decision.reason
    return out
