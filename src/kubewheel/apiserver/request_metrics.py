"""What is counted of every request, under upstream's names and labels.

In: request info, answer code, seconds. Out: metrics in lib/metrics.REGISTRY. Called by: chain.py, limits.py, render.py.
"""

from __future__ import annotations

from kubewheel.apiserver.attributes import RequestInfo
from kubewheel.client.transport import Request
from kubewheel.lib import metrics

_WHERE = ("component", "dry_run", "group", "resource", "scope", "subresource", "verb", "version")
_BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
_UNDRY = tuple(label for label in _WHERE if label != "dry_run")
TOTAL = metrics.REGISTRY.counter(
    "apiserver_request_total", "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, "
    "version, resource, scope, component, and HTTP response code.", *_WHERE, "code")
SECONDS = metrics.REGISTRY.histogram(
    "apiserver_request_duration_seconds", "[STABLE] Response latency distribution in seconds for each verb, dry run value, "
    "group, version, resource, subresource, scope and component.", *_WHERE, buckets=_BUCKETS)
INFLIGHT = metrics.REGISTRY.gauge(
    "apiserver_current_inflight_requests", "[STABLE] Maximal number of currently used inflight request limit of this "
    "apiserver per request kind in last second.", "request_kind")
LONG_RUNNING = metrics.REGISTRY.gauge(
    "apiserver_longrunning_requests", "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, "
    "group, version, resource, scope and component. Not all requests are tracked this way.", *_UNDRY)
SIZES = metrics.REGISTRY.histogram(
    "apiserver_response_sizes", "[STABLE] Response size distribution in bytes for each group, version, verb, resource, "
    "subresource, scope and component.", *_UNDRY, buckets=(1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9))
TERMINATED = metrics.REGISTRY.counter(
    "apiserver_request_terminations_total", "[ALPHA] Number of requests which apiserver terminated in self-defense.",
    "code", *_UNDRY)
WATCH_EVENTS = metrics.REGISTRY.counter(
    "apiserver_watch_events_total", "[ALPHA] Number of events sent in watch clients", "group", "resource", "version")
AUTHENTICATION = metrics.REGISTRY.counter(
    "authentication_attempts", "[ALPHA] Counter of authenticated attempts.", "result")
AUTHENTICATION_SECONDS = metrics.REGISTRY.histogram(
    "authentication_duration_seconds", "[ALPHA] Authentication duration in seconds broken out by result.", "result",
    buckets=tuple(0.001 * 2**i for i in range(15)))
USERS = metrics.REGISTRY.counter(
    "authenticated_user_requests", "[ALPHA] Counter of authenticated requests broken out by username.", "username")
AUTHORIZATION = metrics.REGISTRY.counter(
    "authorization_attempts_total", "[ALPHA] Counter of authorization attempts broken down by result. It can be either "
    "'allowed', 'denied', 'no-opinion' or 'error'.", "result")
TLS_ERRORS = metrics.REGISTRY.counter(
    "apiserver_tls_handshake_errors_total", "[ALPHA] Number of requests dropped with 'TLS handshake error from' error")
TLS_ERRORS.inc(by=0)

READ_ONLY = ("GET", "HEAD", "OPTIONS")
STREAMS = ("exec", "attach", "portforward", "proxy", "log")
_VERBS = {"create": "POST", "update": "PUT", "list": "LIST", "watch": "WATCH", "deletecollection": "DELETECOLLECTION"}
_PATHS = ("/healthz", "/livez", "/readyz", "/metrics", "/version")


def where(request: Request, info: RequestInfo) -> tuple[str, ...]:
    """Label values, in the order of _WHERE."""
    if not info.is_resource:
        verb = request.method if request.method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
        return "apiserver", "", "", "", "", info.path if info.path in _PATHS else "", verb, ""
    verb = _VERBS.get(info.verb) or info.verb.upper() or "other"
    if info.subresource in STREAMS and info.subresource != "log":
        verb = "CONNECT"
    elif verb == "PATCH" and request.headers.get("content-type", "").startswith("application/apply-patch"):
        verb = "APPLY"
    scope = "resource" if info.name and verb not in ("LIST", "WATCH") else "namespace" if info.namespace else "cluster"
    return ("apiserver", "All" if "All" in request.query.get("dryRun", ()) else "", info.group, info.plural, scope,
            info.subresource, verb, info.version)


def known_user(name: str) -> str:
    """A few names of upstream's; all others are one, so that the label has few values."""
    if name in ("admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"):
        return name
    return "email_id" if "@" in name else "other"


def undry(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Without dry_run."""
    return labels[:1] + labels[2:]


class Opened:
    """One long-running request, counted until it is closed."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = undry(labels)
        self._open = True
        LONG_RUNNING.inc(*self._labels)

    def close(self) -> None:
        if self._open:
            self._open = False
            LONG_RUNNING.inc(*self._labels, by=-1)
