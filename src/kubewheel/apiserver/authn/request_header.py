"""A front proxy speaks for somebody: X-Remote-User, believed only with the front-proxy CA's certificate.

In: peer certificates and headers. Out: Identity. Called by: authn union (first: the proxy's own certificate must not
be taken for the user's).
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from kubewheel.apiserver.authn import tokens
from kubewheel.client.transport import Identity, Request
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls


class RequestHeader:
    """--requestheader-*: `allowed_names` () lets every common name of the CA speak."""

    def __init__(
        self, client_ca: bytes, clock: clocks.Clock, *, allowed_names: Iterable[str] = ("front-proxy-client",),
        username_headers: Iterable[str] = ("x-remote-user",), group_headers: Iterable[str] = ("x-remote-group",),
        extra_prefixes: Iterable[str] = ("x-remote-extra-",), uid_headers: Iterable[str] = ("x-remote-uid",),
    ) -> None:
        self._authorities = tls.load_bundle(client_ca)
        self._clock = clock
        self._allowed = frozenset(allowed_names)
        self._users = [h.lower() for h in username_headers]
        self._groups = [h.lower() for h in group_headers]
        self._uids = [h.lower() for h in uid_headers]
        self._prefixes = [p.lower() for p in extra_prefixes]

    async def authenticate(self, request: Request) -> Identity | None:
        name = _first(request, self._users)
        if not name or not request.peer.certificates:
            return None
        try:
            leaf = tls.verify_client(request.peer.certificates, self._authorities, now=self._clock.now())
        except ValueError:
            return None  # somebody else's certificate: its headers mean nothing, the certificate may
        if self._allowed and tls.subject_of(leaf).common_name not in self._allowed:
            return None
        groups = [g for h in self._groups for g in _values(request, h)]
        extra: dict[str, list[str]] = {}
        for prefix in self._prefixes:
            for header in list(request.headers):
                if header.startswith(prefix):
                    extra.setdefault(unquote(header[len(prefix):]), []).extend(_values(request, header))
        user = Identity(name, _first(request, self._uids), tuple(groups), extra)
        for header in list(request.headers):
            if header in self._users or header in self._groups or header in self._uids \
                    or any(header.startswith(p) for p in self._prefixes):
                del request.headers[header]
        return tokens.with_group(user)


def _values(request: Request, header: str) -> list[str]:
    """Repeated headers reach us joined by newlines (http.py)."""
    return [v.strip() for v in request.headers.get(header, "").split("\n") if v.strip()]


def _first(request: Request, headers: Iterable[str]) -> str:
    for header in headers:
        if text := request.headers.get(header, "").strip():
            return text
    return ""
