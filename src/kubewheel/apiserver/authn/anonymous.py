"""Whoever shows nothing is system:anonymous (--anonymous-auth).

In: a request without credentials. Out: Identity. Called by: authn union, last.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.client.transport import Identity, Request

ANONYMOUS = Identity("system:anonymous", groups=("system:unauthenticated",))


class Anonymous:
    """`paths` () means everywhere; else only those (AuthenticationConfiguration anonymous.conditions)."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._paths = frozenset(paths)

    async def authenticate(self, request: Request) -> Identity | None:
        if self._paths and request.path not in self._paths:
            return None
        return ANONYMOUS
