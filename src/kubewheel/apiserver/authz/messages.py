"""The words of a refusal, exactly upstream's (clients and tests match on them).

In: user, RequestInfo. Out: StatusError 403 (401 never comes from here). Called by: chain.py.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Identity


def sentence(user: Identity, info: RequestInfo) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    who = f'User "{user.name}"'
    if not info.is_resource:
        return f'{who} cannot {info.verb} path "{info.path}"'
    what = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    return f'{who} cannot {info.verb} resource "{what}" in API group "{info.group}" {where}'


def forbidden(user: Identity, info: RequestInfo, reason: str = "") -> errors.StatusError:
    """`pods "x" is forbidden: User … cannot …: reason`; for paths `forbidden: User … cannot get path "/x"`."""
    text = sentence(user, info)
    if reason:
        text += f": {reason}"
    if not info.is_resource:
        error = errors.status_error(403, "Forbidden", f"forbidden: {text}")
    else:
        error = errors.forbidden(info.plural, info.name, text, group=info.group)
    error.headers = {**error.headers, "x-content-type-options": "nosniff"}
    return error
