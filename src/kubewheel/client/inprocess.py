"""A transport without sockets: requests go straight into the API server's chain, as a user of their own.

In: Request. Out: Response with dicts. Called by: run, testing. `handler` is the chain; nothing of the server is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubewheel.client.transport import Identity, Request, Response

Handler = Callable[[Request], Awaitable[Response]]


class InProcess:
    def __init__(self, handler: Handler, user: Identity, *, user_agent: str = "kubewheel") -> None:
        self._handler = handler
        self.user = user
        self._agent = user_agent

    async def send(self, request: Request) -> Response:
        request.user = self.user
        request.headers.setdefault("user-agent", self._agent)
        return await self._handler(request)

    async def aclose(self) -> None:
        return None


def component(name: str, *groups: str) -> Identity:
    """The identity of a component: `system:kube-scheduler` …; always system:authenticated."""
    return Identity(name=name, groups=(*groups, "system:authenticated"))
