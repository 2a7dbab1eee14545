"""What the API server is told at start: upstream's flags, by name.

In: cli or testing. Out: one value. Called by: server and what it assembles.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Options:
    advertise_address: str = "192.0.2.1"  # no loopback: endpoints refuse it. Of a server in a test, nobody's
    bind_address: str = "0.0.0.0"
    secure_port: int = 6443
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: tuple[int, int] = (30000, 32767)
    kubernetes_service_port: int = 443
    authorization_mode: tuple[str, ...] = ("Node", "RBAC")
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    anonymous_auth: bool = True
    client_ca: bytes = b""  # PEM; client certificates are checked against it
    requestheader_client_ca: bytes = b""
    requestheader_allowed_names: tuple[str, ...] = ("front-proxy-client",)
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    requestheader_uid_headers: tuple[str, ...] = ("X-Remote-Uid",)
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    service_account_key: bytes = b""  # PEM private key that signs tokens; b"" makes a fresh one (tests)
    service_account_public_keys: tuple[bytes, ...] = ()  # PEM; these verify too
    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    service_account_other_issuers: tuple[str, ...] = ()  # taken, not issued
    service_account_max_token_expiration: float = 0.0  # 0: no limit
    service_account_extend_token_expiration: bool = True
    enable_bootstrap_token_auth: bool = True
    api_audiences: tuple[str, ...] = ()
    token_auth_file: str = ""
    kubelet_client_certificate: str = ""  # files
    kubelet_client_key: str = ""
    kubelet_certificate_authority: str = ""
    kubelet_preferred_address_types: tuple[str, ...] = ("InternalIP", "Hostname", "ExternalIP")
    proxy_client_certificate: str = ""  # files; shown to extension API servers
    proxy_client_key: str = ""
    event_ttl: float = 3600.0
    publish_kubernetes_service: bool = True
    max_requests_inflight: int = 400  # 0: no limit
    max_mutating_requests_inflight: int = 200
    request_timeout: float = 60.0  # seconds
    min_request_timeout: float = 1800.0  # seconds a watch lasts at least, where the client names no time
    livez_grace_period: float = 0.0
    shutdown_delay: float = 0.0  # seconds between failing /readyz and not listening any more
    profiling: bool = True
    runtime_config: dict[str, bool] = field(default_factory=dict)
    external_hostname: str = ""
    service_account_jwks_uri: str = ""
    feature_gates: dict[str, bool] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)  # as started with, for /flagz
    enable_aggregator_routing: bool = False  # to endpoints instead of cluster IPs
    aggregator_reject_forwarding_redirects: bool = True
