"""What is counted of every request, under upstream's names and labels.

In: request info, answer code, seconds. Out: metrics in lib/metrics.REGISTRY. Called by: chain.py.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Request
from kubewheel.lib import metrics

_WHERE = ("component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version")
TOTAL = metrics.REGISTRY.counter(
    "apiserver_request_total", "Counter of apiserver requests broken out for each verb, dry run value, group, version, "
    "resource, scope, component, and HTTP response code.", *_WHERE, "code")
SECONDS = metrics.REGISTRY.histogram(
    "apiserver_request_duration_seconds", "Response latency distribution in seconds for each verb, dry run value, group, "
    "version, resource, subresource, scope and component.", *_WHERE, buckets=(
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60))
INFLIGHT = metrics.REGISTRY.gauge(
    "apiserver_current_inflight_requests", "Maximal number of currently used inflight request limit of this apiserver per "
    "request kind in last second.", "request_kind")
LONG_RUNNING = metrics.REGISTRY.gauge(
    "apiserver_longrunning_requests", "Gauge of all active long-running apiserver requests broken out by verb, group, "
    "version, resource, scope and component. Not all requests are tracked this way.", *(
        label for label in _WHERE if label != "dry_run"))

READ_ONLY = ("GET", "HEAD", "OPTIONS")
STREAMS = ("exec", "attach", "portforward", "proxy", "log")
_VERBS = {"create": "POST", "update": "PUT", "list": "LIST", "watch": "WATCH", "deletecollection": "DELETECOLLECTION"}


def where(request: Request, info: RequestInfo) -> tuple[str, ...]:
    """Label values, in the order of _WHERE."""
    if not info.is_resource:
        verb = request.method if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
        subresource = info.path if info.path in ("/healthz", "/livez", "/readyz", "/metrics", "/version") else ""
        return "apiserver", "", "", "", "", subresource, verb, ""
    verb = _VERBS.get(info.verb) or info.verb.upper() or "other"
    if info.subresource in STREAMS and info.subresource != "log":
        verb = "CONNECT"
    elif verb == "PATCH" and request.headers.get("content-type", "").startswith("application/apply-patch"):
        verb = "APPLY"
    scope = "resource" if info.name and verb not in ("LIST", "WATCH") else "namespace" if info.namespace else "cluster"
    return ("apiserver", "All" if "All" in request.query.get("dryRun", ()) else "", info.group, info.plural, scope,
            info.subresource, verb, info.version)


class Opened:
    """One long-running request, counted until it is closed."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels[:1] + labels[2:]
        self._open = True
        LONG_RUNNING.inc(*self._labels)

    def close(self) -> None:
        if self._open:
            self._open = False
            LONG_RUNNING.inc(*self._labels, by=-1)
