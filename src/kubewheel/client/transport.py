"""The one seam to an API server: send a Request, get a Response (httpx's BaseTransport, for Kubernetes).

In: Request. Out: Response. Implementations: http.py (any server, upstream's too), inprocess.py (ours, no sockets;
its `handler` is the API server's chain).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from kubewheel.api import errors


@dataclass(slots=True)
class Peer:
    """Who is at the other end of the connection."""

    address: str = ""
    certificates: tuple[bytes, ...] = ()  # DER, leaf first, verified by TLS against the client CA; () without one


@dataclass(slots=True)
class Identity:
    """An authenticated user (authentication.k8s.io UserInfo)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    method: str
    path: str  # decoded path, "/api/v1/namespaces/default/pods"
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes | dict[str, Any] | None = None  # a dict from in-process callers is taken over, not copied
    peer: Peer = field(default_factory=Peer)
    user: Identity | None = None  # set by in-process callers (already authenticated) or by the authn step
    wants_objects: bool = False  # in-process: the response carries dicts instead of bytes
    raw_path: str = ""  # as on the wire, for proxying
    hijack: Callable[[], Any] | None = None  # takes over the connection for upgrades (HTTP only)
    stream: AsyncIterator[bytes] | None = None  # body as it comes, for proxying
    attributes: dict[str, Any] = field(default_factory=dict)  # filled by the chain (audit, impersonation …)

    def first(self, name: str, default: str = "") -> str:
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """A query parameter as upstream reads booleans: absent, "false" and "0" are false, all else is true."""
        values = self.query.get(name)
        return bool(values) and values[0].lower() not in ("false", "0")  # type: ignore[index]

    def integer(self, name: str) -> int:
        """A query parameter as a number of 64 bits, 0 where it is absent; StatusError 400."""
        if name not in self.query:
            return 0
        text = self.first(name)
        if not (text[1:] if text[:1] in ("+", "-") else text).isdecimal() or not text.isascii():
            raise errors.bad_request(f"strconv.ParseInt: parsing {errors.quoted(text)}: invalid syntax")
        if not -(1 << 63) <= (value := int(text)) < 1 << 63:
            raise errors.bad_request(f"strconv.ParseInt: parsing {errors.quoted(text)}: value out of range")
        return value


@dataclass(slots=True)
class Response:
    """Exactly one of body, obj, events, chunks or upgrade is used."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    obj: Any = None  # in-process: the object (shared, read-only) or list dict
    events: AsyncIterator[tuple[str, dict[str, Any]]] | None = None  # in-process watch: (type, object)
    chunks: AsyncIterator[bytes] | None = None  # streamed body (watch, logs, proxy)
    upgrade: Callable[[Any], Awaitable[Any]] | None = None  # given the hijacked connection
    warnings: list[str] = field(default_factory=list)


class Transport(Protocol):
    async def send(self, request: Request) -> Response: ...

    async def aclose(self) -> None: ...
