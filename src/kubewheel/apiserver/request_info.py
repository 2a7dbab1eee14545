"""A path taken apart into what authorization and dispatch speak of. Pure.

In: method, path, query. Out: RequestInfo. Called by: chain.py.
Source of the rule: the API concepts page (resource URIs) and apiserver's RequestInfo.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Request

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = {"status", "finalize"}


def parse(request: Request) -> RequestInfo:
    trimmed = request.path.strip("/")
    parts = trimmed.split("/") if trimmed else []  # an empty part within stays: no resource has that name
    info = RequestInfo(is_resource=False, path=request.path, verb=request.method.lower())
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return info
    if parts[0] == "apis":
        if len(parts) < 4:
            return info
        info.group, info.version, rest = parts[1], parts[2], parts[3:]
    else:
        info.version, rest = parts[1], parts[2:]
    info.api_prefix = parts[0]
    info.is_resource = True
    info.verb = VERBS.get(request.method, "")
    if rest[0] == "watch" and len(rest) > 1:  # the legacy /watch/ prefix
        info.verb = "watch"
        rest = rest[1:]
        request.query.setdefault("watch", ["true"])
    elif rest[0] == "proxy" and len(rest) > 1:
        info.verb = "proxy"
        rest = rest[1:]
    if rest[0] == "namespaces":
        if len(rest) > 1:
            info.namespace = rest[1]
            if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
                rest = rest[2:]
    info.parts = tuple(rest)
    info.plural = rest[0]
    if len(rest) > 1:
        info.name = rest[1]
    if len(rest) > 2:
        info.subresource = rest[2]
    if not info.name:
        if info.verb == "get":
            info.verb = "watch" if request.flag("watch") else "list"
        elif info.verb == "delete":
            info.verb = "deletecollection"
        if info.verb in ("list", "watch", "deletecollection"):
            info.field_selector = request.first("fieldSelector")
            if info.verb != "deletecollection":  # whoever may delete one by name may not delete many by a selector
                info.name = _name_in(info.field_selector)
    return info


def _name_in(selector: str) -> str:
    """metadata.name=x in a field selector names the object for authorization."""
    for term in selector.split(","):
        if term.startswith("metadata.name="):
            return term.removeprefix("metadata.name=").lstrip("=")
    return ""
