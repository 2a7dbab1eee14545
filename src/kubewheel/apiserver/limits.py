"""How many requests at once, and for how long: --max-requests-inflight, --max-mutating-requests-inflight,
--request-timeout.

In: a request on its way, its user. Out: refusals with 429 and Retry-After, or 504. Called by: chain.py.
Exempt are, as upstream's: long-running requests, and system:masters; and what comes from within the process, which
upstream's loopback client is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubewheel.api import durations, errors
from kubewheel.apiserver import request_metrics
from kubewheel.client.transport import Identity, Request, Response

if TYPE_CHECKING:
    from kubewheel.apiserver.options import Options

MASTERS = "system:masters"


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
