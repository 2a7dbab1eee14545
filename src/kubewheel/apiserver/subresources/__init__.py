"""Subresources and review kinds that the generic verbs cannot answer: one visible table.

Key: (qualified resource, subresource), "" for the resource itself, "*" for any resource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubewheel.apiserver.call import Call
from kubewheel.apiserver.subresources import exec as commands
from kubewheel.apiserver.subresources import (
    log,
    pods,
    portforward,
    proxy,
    scale,
    self_subject_review,
    service_account_token,
    subject_access_review,
    token_review,
)
from kubewheel.client.transport import Response

AUTHN, AUTHZ = "authentication.k8s.io", "authorization.k8s.io"

HANDLERS: dict[tuple[str, str], Callable[[Call], Awaitable[Response]]] = {
    ("bindings", ""): pods.binding,
    ("pods", "binding"): pods.binding,
    ("pods", "eviction"): pods.eviction,
    ("pods", "log"): log.handle,
    ("pods", "exec"): commands.handle,
    ("pods", "attach"): commands.handle,
    ("pods", "portforward"): portforward.handle,
    ("pods", "proxy"): proxy.handle,
    ("services", "proxy"): proxy.handle,
    ("nodes", "proxy"): proxy.handle,
    ("serviceaccounts", "token"): service_account_token.handle,
    ("*", "scale"): scale.handle,
    (f"tokenreviews.{AUTHN}", ""): token_review.handle,
    (f"selfsubjectreviews.{AUTHN}", ""): self_subject_review.handle,
    (f"subjectaccessreviews.{AUTHZ}", ""): subject_access_review.handle,
    (f"localsubjectaccessreviews.{AUTHZ}", ""): subject_access_review.handle,
    (f"selfsubjectaccessreviews.{AUTHZ}", ""): subject_access_review.handle,
    (f"selfsubjectrulesreviews.{AUTHZ}", ""): subject_access_review.handle,
}
