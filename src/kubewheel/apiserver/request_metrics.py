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
SLI_SECONDS = metrics.REGISTRY.histogram(
    "apiserver_request_sli_duration_seconds", "[ALPHA] Response latency distribution (not counting webhook duration and "
    "priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and "
    "component.", *_UNDRY, buckets=_BUCKETS[2:])
BODY_SIZES = metrics.REGISTRY.histogram(
    "apiserver_request_body_size_bytes", "[ALPHA] Apiserver request body size in bytes broken out by resource and verb.",
    "group", "resource", "verb", buckets=tuple(50e3 + i * 100e3 for i in range(31)))
FILTER_SECONDS = metrics.REGISTRY.histogram(
    "apiserver_request_filter_duration_seconds", "[ALPHA] Request filter latency distribution in seconds, for each filter "
    "type", "filter", buckets=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0, 10.0, 15.0, 30.0))
SELF = metrics.REGISTRY.counter(
    "apiserver_selfrequest_total", "[ALPHA] Counter of apiserver self-requests broken out for each verb, API resource and "
    "subresource.", "group", "resource", "subresource", "verb")
FIELD_VALIDATION_SECONDS = metrics.REGISTRY.histogram(
    "field_validation_request_duration_seconds", "[ALPHA] Response latency distribution in seconds for each field validation "
    "value", "field_validation", buckets=_BUCKETS[2:])
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
WATCH_EVENT_SIZES = metrics.REGISTRY.histogram(
    "apiserver_watch_events_sizes", "[ALPHA] Watch event size distribution in bytes", "group", "resource", "version",
    buckets=tuple(1024.0 * 2**i for i in range(8)))
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
AUTHORIZATION_SECONDS = metrics.REGISTRY.histogram(
    "authorization_duration_seconds", "[ALPHA] Authorization duration in seconds broken out by result.", "result",
    buckets=tuple(0.001 * 2**i for i in range(15)))
TLS_ERRORS = metrics.REGISTRY.counter(
    "apiserver_tls_handshake_errors_total", "[ALPHA] Number of requests dropped with 'TLS handshake error from' error")
TLS_ERRORS.inc(by=0)

CACHE_LISTS = metrics.REGISTRY.counter(
    "apiserver_cache_list_total", "[ALPHA] Number of LIST requests served from watch cache", "group", "resource", "index")
CACHE_LISTED = metrics.REGISTRY.counter(
    "apiserver_cache_list_fetched_objects_total", "[ALPHA] Number of objects read from watch cache in the course of serving a "
    "LIST request", "group", "resource", "index")
CACHE_RETURNED = metrics.REGISTRY.counter(
    "apiserver_cache_list_returned_objects_total", "[ALPHA] Number of objects returned for a LIST request from watch cache",
    "group", "resource")
STORAGE_LISTS = metrics.REGISTRY.counter(
    "apiserver_storage_list_total", "[ALPHA] Number of LIST requests served from storage", "group", "resource")
STORAGE_RETURNED = metrics.REGISTRY.counter(
    "apiserver_storage_list_returned_objects_total", "[ALPHA] Number of objects returned for a LIST request from storage",
    "group", "resource")

READ_ONLY = ("GET", "HEAD", "OPTIONS")
STREAMS = ("exec", "attach", "portforward", "proxy", "log")
_VERBS = {"create": "POST", "update": "PUT", "list": "LIST", "watch": "WATCH", "deletecollection": "DELETE"}
_BODIES = {"create": "create", "update": "update", "patch": "patch", "delete": "delete",
           "deletecollection": "delete_collection"}
_HEALTH = ("/healthz", "/livez", "/readyz")
NOWHERE = ("apiserver", *[""] * 5, "other", "")


def where(request: Request, info: RequestInfo, *, custom: bool = False) -> tuple[str, ...] | None:
    """Label values, in the order of _WHERE; None for paths that upstream does not count."""
    if not info.is_resource:
        verb = {"HEAD": "GET"}.get(request.method, request.method)
        if info.path in _HEALTH:
            return "", "", "", "", "", info.path, verb, ""
        if info.path in ("/statusz", "/flagz"):
            return "apiserver", "", "", info.path[1:], "", "", verb, ""
        if info.path in ("/api", "/apis") and "APIGroupDiscoveryList" in request.headers.get("accept", ""):
            return "apiserver", "", "", "", "", info.path[1:], verb, ""
        return None
    verb = _VERBS.get(info.verb) or info.verb.upper() or "other"
    if info.subresource in STREAMS and info.subresource != "log":
        verb = "CONNECT"
    elif verb == "PATCH" and request.headers.get("content-type", "").startswith("application/apply-patch"):
        verb = "APPLY"
    # A list of one name is a resource's where no route says better: custom resources have none of their own.
    many = info.verb in ("list", "watch") and not custom or info.verb == "deletecollection"
    scope = "resource" if (info.name and not many) or info.verb == "create" else (
        "namespace" if info.namespace else "cluster")
    if verb == "LIST" and scope == "resource":
        verb = "GET"
    return ("apiserver", "All" if "All" in request.query.get("dryRun", ()) else "", info.group, info.plural, scope,
            info.subresource, verb, info.version)


def answered(request: Request, info: RequestInfo, labels: tuple[str, ...], seconds: float) -> None:
    """One that is no long-running request."""
    SECONDS.observe(seconds, *labels)
    SLI_SECONDS.observe(seconds, *undry(labels))
    if not info.is_resource or request.method in READ_ONLY:
        return
    if isinstance(request.body, bytes) and request.body and info.verb in _BODIES:
        BODY_SIZES.observe(len(request.body), info.group, info.plural, _BODIES[info.verb])
    if request.method != "DELETE" and (given := request.query.get("fieldValidation")):
        FIELD_VALIDATION_SECONDS.observe(seconds, given[0] if given[0] in ("Ignore", "Warn", "Strict") else "invalid")


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
