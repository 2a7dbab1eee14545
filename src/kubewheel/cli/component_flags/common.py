"""Flags that several components share, and their sections.

Called by: the tables beside it.
"""

from __future__ import annotations

from kubewheel.api import features
from kubewheel.cli.flags import Flag, grouped, without_effect

HTTP2 = "HTTP/1.1 is served"
LOGS = "one log format is written, to standard error"
METRICS = "all metrics are shown, with all labels"
REQUESTHEADER = "its server asks about tokens and certificates; front proxies are the API server's"

GATES = Flag("feature-gates", "gates", help="name=true|false pairs; all are checked and shown, and these switch something "
             "here: " + ", ".join(sorted(features.WITH_EFFECT)) + ". Options are:\n" + "\n".join(features.shown()))
LOG_FLAGS = grouped(
    "Logs",
    Flag("v", "int", 0, "number for the log level verbosity; 4 and more is debug", short="v"),
    *without_effect(Flag("vmodule", help="comma-separated pattern=N settings for file-filtered logging"),
                    Flag("logging-format", default="text", help='"text" is the one here'),
                    Flag("log-flush-frequency", "duration", "5s", "lines are flushed at once")))
PROFILING = Flag("profiling", "bool", True, "serve /debug/pprof and /debug/flags/v")
CLIENT_LIMITS = without_effect(
    Flag("kube-api-content-type", default="application/vnd.kubernetes.protobuf", help="how requests are written"))
ELECTION_TIMES = (
    Flag("leader-elect", "bool", True, "elect one leader among several"),
    Flag("leader-elect-lease-duration", "duration", "15s", "after so long without renewal others may take over"),
    Flag("leader-elect-renew-deadline", "duration", "10s", "the leader gives up after so long without renewal"),
    Flag("leader-elect-retry-period", "duration", "2s", "between tries"),
    Flag("leader-elect-resource-lock", default="leases", help="leases"))


def election(name: str) -> tuple[Flag, ...]:
    return grouped(
        "Leader election", *ELECTION_TIMES, Flag("leader-elect-resource-name", default=name, help="name of the Lease"),
        Flag("leader-elect-resource-namespace", default="kube-system", help="namespace of the Lease"))


def secure_serving(port: int, cert_dir: str, meaning: str) -> tuple[Flag, ...]:
    return grouped(
        "Secure serving",
        Flag("bind-address", "ip", "0.0.0.0", help="address to serve on"),
        Flag("secure-port", "int", port, meaning),
        Flag("cert-dir", default=cert_dir, help="where certificate and keys are made if none are named",
             has_effect=bool(cert_dir)),
        Flag("tls-cert-file", help="certificate to serve with; none: a self-signed one"),
        Flag("tls-private-key-file", help="its key"),
        Flag("tls-cipher-suites", "list", help="names of TLS 1.2 suites, the preferred first; none: OpenSSL's"),
        Flag("tls-min-version", help="VersionTLS12 or VersionTLS13"),
        Flag("tls-sni-cert-key", "words", help="cert,key or cert,key:name,*.name: another certificate for these names; "
             "repeatable"))


DELEGATED = (
    *grouped("Authentication",
             Flag("authentication-kubeconfig", help="kubeconfig to ask about tokens with (default: --kubeconfig)"),
             Flag("authentication-tolerate-lookup-failure", "bool", True, has_effect=False),
             Flag("authentication-skip-lookup", "bool", False, has_effect=False),
             Flag("authentication-token-webhook-cache-ttl", "duration", "10s", has_effect=False),
             Flag("client-ca-file", help="authorities of client certificates"),
             Flag("requestheader-client-ca-file", has_effect=False)),
    *grouped("Authorization",
             Flag("authorization-kubeconfig", help="kubeconfig to ask about access with (default: --kubeconfig)"),
             Flag("authorization-webhook-cache-authorized-ttl", "duration", "10s", has_effect=False),
             Flag("authorization-webhook-cache-unauthorized-ttl", "duration", "10s", has_effect=False),
             Flag("authorization-always-allow-paths", "list", ("/healthz", "/readyz", "/livez"),
                  "paths open to all; an ending /* takes in all below")))


def absent(*reasons: tuple[str, str]) -> dict[str, str]:
    """(why, "flag flag …") as flag -> why."""
    return {name: why for why, names in reasons for name in names.split()}


SERVING_ABSENT = ((HTTP2, "http2-max-streams-per-connection disable-http2-serving"),
                  ("a port belongs to one process", "permit-port-sharing permit-address-sharing"),
                  ("OpenSSL chooses", "tls-curve-preferences"))
COMMON_ABSENT = (
    (LOGS, "log-json-info-buffer-size log-json-split-stream log-text-info-buffer-size log-text-split-stream"),
    (METRICS, "allow-metric-labels allow-metric-labels-manifest disabled-metrics show-hidden-metrics-for-version"),
    ("one version is spoken", "emulated-version emulation-forward-compatible min-compatibility-version"),
    ("locks are not profiled in CPython", "contention-profiling"))
DELEGATED_ABSENT = (
    (REQUESTHEADER, "requestheader-allowed-names requestheader-username-headers requestheader-group-headers "
                    "requestheader-uid-headers requestheader-extra-headers-prefix"),)
