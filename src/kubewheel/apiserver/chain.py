"""The way of every request, top-down, in one visible order.

    request info → authentication → impersonation → flow (named in the answer) → limits (in flight, time)
    → authorization → dispatch → render

In: Request. Out: Response (errors become metav1.Status here and nowhere else).
Called by: http.py and, through client/inprocess.py, every component of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from kubewheel.api import errors
from kubewheel.api.resource import Gvr
from kubewheel.apiserver import flows, impersonation, limits, render, request_info, request_metrics
from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.apiserver.authz import messages
from kubewheel.apiserver.results import Stream
from kubewheel.client.transport import Identity, Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server

log = logging.getLogger(__name__)

_RESULTS = {"allow": "allowed", "deny": "denied", "no-opinion": "no-opinion"}


class Chain:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.limits = limits.Limits(server.options)
        self.flows = flows.Flows(server.watch_cache)

    async def __call__(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        began, info = loop.time(), request_info.parse(request)
        kind = self.limits.kind(request)
        long = info.verb == "watch" or info.subresource in request_metrics.STREAMS or info.path.startswith("/debug/pprof/")
        if not long:
            request_metrics.INFLIGHT.inc(kind)
        try:
            if request.user is not None:
                response = await self._or_failure(request, self._from_within(request, info, request.user))
            else:
                response = await self._to_network(request, info, limited="" if long else kind)
        finally:
            if not long:
                request_metrics.INFLIGHT.inc(kind, by=-1)
        labels = self._where(request, info, response)
        if labels is None:
            return response
        request_metrics.TOTAL.inc(*labels, str(response.status))
        if not long:
            request_metrics.answered(request, info, labels, loop.time() - began)
        if response.body is not None and info.is_resource and request.method == "GET":
            request_metrics.SIZES.observe(len(response.body), *request_metrics.undry(labels))
        return response

    def _where(self, request: Request, info: RequestInfo, response: Response | None = None) -> tuple[str, ...] | None:
        """Labels; paths that nobody serves must not become values without end."""
        resource = self.server.registry.lookup(Gvr(info.group, info.version, info.plural)) if info.is_resource else None
        if response is not None and response.status == 404 and info.is_resource and (
                resource is None or (info.subresource and resource.subresource(info.subresource) is None)):
            return None
        return request_metrics.where(request, info, custom=resource is not None and resource.custom is not None)

    async def _to_network(self, request: Request, info: RequestInfo, *, limited: str) -> Response:
        """The answer, with the names of the flow that the request belongs to, once it is known whose it is.
        `limited`: the kind of request whose number and time are limited, "" for none."""
        found: list[Identity] = []
        response = await self._or_failure(request, self._known(request, info, found, limited))
        if found and (limited or info.verb == "watch"):
            response.headers.update(self.flows.headers(found[0], info))
        return response

    async def _known(self, request: Request, info: RequestInfo, found: list[Identity], limited: str) -> Response:
        """`found`: gets the user."""
        user = await self._impersonate(request, await self._authenticate(request))
        found.append(user)
        if limited:
            return await self._within_limits(request, info, user, limited)
        return await self._serve(request, info, user)

    async def _from_within(self, request: Request, info: RequestInfo, user: Identity) -> Response:
        """No limits and no headers for what comes from within the process."""
        return await self._serve(request, info, await self._impersonate(request, user))

    async def _or_failure(self, request: Request, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except errors.StatusError as e:
            return failure(request, e)
        except Exception as e:  # noqa: BLE001 - the edge: a bug becomes a 500 and a logged trace
            log.exception("%s %s failed", request.method, request.path)
            return failure(request, errors.internal(str(e) or type(e).__name__))

    async def _within_limits(self, request: Request, info: RequestInfo, user: Identity, kind: str) -> Response:
        if self.limits.is_full(kind, user):
            request_metrics.TERMINATED.inc("429", *request_metrics.undry(self._where(request, info) or request_metrics.NOWHERE))
            return limits.too_many()
        seconds = self.limits.seconds(request)
        limit: asyncio.Timeout | None = None
        self.limits.running[kind] += 1
        try:
            begun = limits.Begun(self._serve(request, info, user))
            if begun.is_done:
                return await begun
            async with asyncio.timeout(seconds or None) as limit:
                return await begun
        except TimeoutError:
            if limit is None or not limit.expired():
                raise
            request_metrics.TERMINATED.inc("504", *request_metrics.undry(self._where(request, info) or request_metrics.NOWHERE))
            raise limits.timed_out() from None
        finally:
            self.limits.running[kind] -= 1

    async def _serve(self, request: Request, info: RequestInfo, user: Identity) -> Response:
        await self._authorize(user, info, request)
        response = await self.server.dispatch(request, info, user)
        if isinstance(response.obj, Stream):
            response.obj.opened = request_metrics.Opened(self._where(request, info) or request_metrics.NOWHERE)
        return await render.finish(self.server, request, response)

    async def _authenticate(self, request: Request) -> Identity:
        loop = asyncio.get_running_loop()
        began, result = loop.time(), "error"
        try:
            user = await self.server.authenticator.authenticate(request)
            result = "success"
        except errors.StatusError:
            result = "failure"
            raise
        finally:
            request_metrics.AUTHENTICATION.inc(result)
            request_metrics.AUTHENTICATION_SECONDS.observe(loop.time() - began, result)
            request_metrics.FILTER_SECONDS.observe(loop.time() - began, "authentication")
        request_metrics.USERS.inc(request_metrics.known_user(user.name))
        return user

    async def _impersonate(self, request: Request, user: Identity) -> Identity:
        for name in request.headers:
            if name.startswith("impersonate-"):
                return await impersonation.impersonate(request, user, self.server.authorizer)
        return user

    async def _authorize(self, user: Identity, info: RequestInfo, request: Request) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        decision = await self.server.authorizer.authorize(user, info)
        result, seconds = _RESULTS[decision.verdict], loop.time() - began
        request_metrics.AUTHORIZATION.inc(result)
        request_metrics.AUTHORIZATION_SECONDS.observe(seconds, result)
        request_metrics.FILTER_SECONDS.observe(seconds, "authorization")
        if user.name == "system:apiserver" and info.is_resource:
            request_metrics.SELF.inc(info.group, info.plural, info.subresource, info.verb.upper())
        if decision.verdict != "allow":
            raise messages.forbidden(user, info, decision.reason)


def failure(request: Request, error: errors.StatusError) -> Response:
    response = Response(status=error.code, headers=dict(error.headers), warnings=list(error.warnings))
    if error.code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if request.wants_objects:
        response.obj = error.status
    else:
        response.body, response.headers["content-type"] = render.status(request, error.status)
    return response
