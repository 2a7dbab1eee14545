"""Acting as somebody else: Impersonate-User, -Group, -Uid, -Extra-*; each one must be allowed by itself.

In: request headers, the real user, the authorizer. Out: the Identity to go on with; StatusError 403/400.
Called by: chain.py, between authentication and authorization.
"""

from __future__ import annotations

from urllib.parse import unquote

from kubewheel.api import errors
from kubewheel.apiserver.attributes import Authorizer, RequestInfo
from kubewheel.apiserver.authn import anonymous, service_account, tokens
from kubewheel.apiserver.authz import messages
from kubewheel.client.transport import Identity, Request

USER, GROUP, UID, EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"


async def impersonate(request: Request, user: Identity, authorizer: Authorizer) -> Identity:
    """The user to act as: `user` itself where no header asks for another. The headers are taken out."""
    headers = {name: text for name, text in request.headers.items() if name.startswith("impersonate-")}
    if not headers:
        return user
    name = headers.get(USER, "")
    groups = _values(headers.get(GROUP, ""))
    uid = headers.get(UID, "")
    extra: dict[str, list[str]] = {}
    for header, text in headers.items():
        if header.startswith(EXTRA):
            extra.setdefault(unquote(header[len(EXTRA):]).lower(), []).extend(_values(text))
    if not name:
        if groups or uid or extra:
            raise errors.bad_request(f"requested {_asked(groups, uid, extra)} without impersonating a user name")
        return user
    for info in _questions(name, groups, uid, extra):
        decision = await authorizer.authorize(user, info)
        if decision.verdict != "allow":
            raise messages.forbidden(user, info, decision.reason)
    for header in headers:
        del request.headers[header]
    return _identity(name, groups, uid, extra)


def _questions(name: str, groups: list[str], uid: str, extra: dict[str, list[str]]) -> list[RequestInfo]:
    def ask(plural: str, what: str, *, namespace: str = "", group: str = "", sub: str = "") -> RequestInfo:
        return RequestInfo(True, "", "impersonate", "apis" if group else "api", group, "v1", namespace, plural,
                           sub, what)

    account = service_account.split_user_name(name)
    asked = [ask("users", name) if account is None else ask("serviceaccounts", account[1], namespace=account[0])]
    asked += [ask("groups", g) for g in groups]
    authn = "authentication.k8s.io"
    asked += [ask("userextras", v, group=authn, sub=key) for key, values in extra.items() for v in values]
    if uid:
        asked.append(ask("uids", uid, group=authn))
    return asked


def _identity(name: str, groups: list[str], uid: str, extra: dict[str, list[str]]) -> Identity:
    account = service_account.split_user_name(name)
    if account is not None and not groups:
        groups = list(service_account.groups_of(account[0]))
    if name == anonymous.ANONYMOUS.name:
        if "system:unauthenticated" not in groups:
            groups = [*groups, "system:unauthenticated"]
        return Identity(name, uid, tuple(groups), extra)
    return tokens.with_group(Identity(name, uid, tuple(groups), extra))


def _values(text: str) -> list[str]:
    """Repeated headers reach us joined by newlines (http.py)."""
    return [v.strip() for v in text.split("\n") if v.strip()]


def _asked(groups: list[str], uid: str, extra: dict[str, list[str]]) -> str:
    """The user so far, as Go's %#v has it."""
    def strings(values: list[str]) -> str:
        return "{" + ", ".join(errors.quoted(v) for v in values) + "}"

    said = f"[]string{strings(groups)}" if groups else "[]string(nil)"
    more = ", ".join(f"{errors.quoted(key)}:[]string{strings(extra[key])}" for key in sorted(extra))
    told = f"map[string][]string{{{more}}}" if extra else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{errors.quoted(uid)}, Groups:{said}, Extra:{told}}}'
