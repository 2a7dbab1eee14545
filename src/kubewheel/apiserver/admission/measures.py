"""What is counted of admission, under upstream's names: the steps, each plugin, each webhook.

In: seconds and outcomes. Out: metrics in lib/metrics.REGISTRY. Called by: chain.py, webhook.py.
"""

from __future__ import annotations

from kubewheel.lib import metrics

_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
STEPS = metrics.REGISTRY.histogram(
    "apiserver_admission_step_admission_duration_seconds", "[STABLE] Admission sub-step latency histogram in seconds, broken "
    "out for each operation and API resource and step type (validate or admit).", "operation", "rejected", "type",
    buckets=_BUCKETS)
PLUGINS = metrics.REGISTRY.histogram(
    "apiserver_admission_controller_admission_duration_seconds", "[STABLE] Admission controller latency histogram in seconds, "
    "identified by name and broken out for each operation and API resource and type (validate or admit).",
    "name", "operation", "rejected", "type", buckets=_BUCKETS)
WEBHOOKS = metrics.REGISTRY.histogram(
    "apiserver_admission_webhook_admission_duration_seconds", "[STABLE] Admission webhook latency histogram in seconds, "
    "identified by name and broken out for each operation and API resource and type (validate or admit).",
    "name", "operation", "rejected", "type", buckets=(*_BUCKETS, 10.0, 25.0))
REQUESTS = metrics.REGISTRY.counter(
    "apiserver_admission_webhook_request_total", "[ALPHA] Admission webhook request total, identified by name and broken out "
    "for each admission type (validating or mutating) and operation. Additional labels specify whether the request was "
    "rejected or not and an HTTP status code.", "code", "name", "operation", "rejected", "type")
REJECTIONS = metrics.REGISTRY.counter(
    "apiserver_admission_webhook_rejection_count", "[ALPHA] Admission webhook rejection count, identified by name and broken "
    "out for each admission type (validating or admit) and operation. Additional labels specify an error type "
    "(calling_webhook_error or apiserver_internal_error if an error occurred; no_error otherwise) and optionally a non-zero "
    "rejection code if the webhook rejects the request with an HTTP status code.",
    "error_type", "name", "operation", "rejection_code", "type")
FAIL_OPEN = metrics.REGISTRY.counter(
    "apiserver_admission_webhook_fail_open_count", "[ALPHA] Admission webhook fail open count, identified by name and broken "
    "out for each admission type (validating or admit).", "name", "type")

UNANSWERED = 503  # the code upstream gives a webhook that could not be asked


def webhook(name: str, operation: str, kind: str, seconds: float, *, code: int, error: str = "", rejected: bool = False) -> None:
    """One webhook was asked. `kind`: admit or validating; `error`: the error_type of a rejection."""
    said = "true" if rejected else "false"
    WEBHOOKS.observe(seconds, name, operation, said, kind)
    REQUESTS.inc(str(code), name, operation, said, kind)
    if rejected:
        REJECTIONS.inc(error or "no_error", name, operation, str(code), kind)
