"""How many requests at once, and for how long: --max-requests-inflight, --max-mutating-requests-inflight,
--request-timeout.

In: a request on its way, its user. Out: refusals with 429 and Retry-After, or 504. Called by: chain.py.
Exempt are, as upstream's: long-running requests, and system:masters; and what comes from within the process, which
upstream's loopback client is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from kubewheel.api import durations, errors
from kubewheel.apiserver import request_metrics
from kubewheel.client.transport import Identity, Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.options import Options

MASTERS = "system:masters"
T = TypeVar("T")


class Begun(Awaitable[T]):
    """A coroutine that was run as far as it goes without waiting. Most requests are answered by then, and need no timer."""

    __slots__ = ("is_done", "result", "_work", "_waits_for")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        """Whatever the coroutine raises on its way."""
        self._work = work
        self._waits_for: Any = None
        self.result: T | None = None
        self.is_done = False
        try:
            self._waits_for = work.send(None)
        except StopIteration as e:
            self.is_done, self.result = True, e.value

    def __await__(self) -> Generator[Any, Any, T]:
        """The rest of it. To be awaited once, by the task that began it."""
        if self.is_done:
            return self.result  # type: ignore[return-value]
        work, waits_for = self._work, self._waits_for
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as e:  # noqa: BLE001 - a cancellation, handed in to where the coroutine waits
                step = partial(work.throw, e)
            else:
                step = partial(work.send, sent)
            try:
                waits_for = step()
            except StopIteration as e:
                return e.value


class Limits:
    def __init__(self, options: Options) -> None:
        self._options = options
        self.running = {"readOnly": 0, "mutating": 0}  # of the requests that are limited

    def kind(self, request: Request) -> str:
        return "readOnly" if request.method in request_metrics.READ_ONLY else "mutating"

    def is_full(self, kind: str, user: Identity) -> bool:
        options = self._options
        limit = options.max_requests_inflight if kind == "readOnly" else options.max_mutating_requests_inflight
        return bool(limit) and self.running[kind] >= limit and MASTERS not in user.groups

    def seconds(self, request: Request) -> float:
        """How long the request may take: ?timeout=, and no longer than --request-timeout. StatusError 400."""
        most = self._options.request_timeout
        text = request.first("timeout")
        if not text:
            return most
        try:
            asked = durations.parse(text)
        except ValueError as e:
            raise errors.bad_request(f"invalid timeout specified in the request URL - {e}") from e
        return min(asked, most) if asked > 0 else most


def too_many() -> Response:
    return Response(status=429, body=b"Too many requests, please try again later.\n", headers={
        "retry-after": "1", "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"})


def timed_out() -> errors.StatusError:
    return errors.status_error(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
