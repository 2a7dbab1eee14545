"""URLs as Go's net/url reads them: which it does not take, and why.

In: texts. Out: its words, or whether it takes them. Called by: hook_clients.py, apiextensions/formats.py.
"""

from __future__ import annotations

import re

from kubewheel.api import errors

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_NOT_IN_HOST = re.compile(r'[\x00-\x20"<>\\^`{|}\x7f]')
_PORT = re.compile(r"(:[0-9]*)?")
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)


def is_request(text: str) -> bool:
    """url.ParseRequestURI: a whole URL or a path from the root; a '#' is part of the path."""
    return bool(text) and not unreadable(text, as_request=True)


def unreadable(text: str, *, as_request: bool = False) -> str:
    """Why url.Parse (or ParseRequestURI) does not take it; empty where it does."""
    rest, scheme = text if as_request else text.partition("#")[0], ""
    if re.search(r"[\x00-\x1f\x7f]", rest):
        return "net/url: invalid control character in URL"
    head, colon, tail = rest.partition(":")
    if colon and not head:
        return "missing protocol scheme"
    if colon and _SCHEME.fullmatch(head):
        scheme, rest = head, tail
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return ""
        if as_request:
            return "invalid URI for request"
        if ":" in rest.partition("/")[0]:
            return "first path segment in URL cannot contain colon"
    elif rest.startswith("//") and (scheme or not as_request) and not rest.startswith("///"):
        authority, _, rest = rest[2:].partition("/")
        if why := _in_host(authority.rpartition("@")[2]):
            return why
    bad = _ESCAPE.search(rest)
    return f"invalid URL escape {errors.quoted(bad[0])}" if bad else ""


def _in_host(host: str) -> str:
    if host.startswith("["):
        end = host.rfind("]")
        if end < 0:
            return "missing ']' in host"
        port = host[end + 1:]
    else:
        port = host[host.find(":"):] if ":" in host else ""
    if not _PORT.fullmatch(port):
        return f"invalid port {errors.quoted(port)} after host"
    bad = _NOT_IN_HOST.search(host)
    return f"invalid character {errors.quoted(bad[0])} in host name" if bad else ""
