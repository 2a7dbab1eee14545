"""The kubelet's settings, under upstream's flag and KubeletConfiguration names.

In: run/ (flags, config file). Out: one Options value. Called by: kubelet.py, which hands it down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VERSION = "v1.37.0"


@dataclass(slots=True, kw_only=True)
class Options:
    node_name: str
    root_dir: str = "/var/lib/kubelet"
    pod_logs_dir: str = "/var/log/pods"
    container_logs_dir: str = "/var/log/containers"
    container_runtime_endpoint: str = "unix:///run/containerd/containerd.sock"
    runtime_request_timeout: float = 120.0
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    pod_manifest_path: str = ""  # --pod-manifest-path (staticPodPath)
    file_check_frequency: float = 20.0
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    client_ca_file: str = ""
    port: int = 10250
    address: str = "0.0.0.0"
    healthz_port: int = 10248
    healthz_bind_address: str = "127.0.0.1"
    anonymous_auth: bool = False
    authentication_token_webhook: bool = True
    authorization_mode: str = "Webhook"  # or AlwaysAllow
    enable_debugging_handlers: bool = True
    streaming_connection_idle_timeout: float = 4 * 3600.0
    max_pods: int = 110
    node_ip: str = ""
    hostname_override: str = ""
    node_labels: dict[str, str] = field(default_factory=dict)
    register_node: bool = True
    register_with_taints: tuple[dict[str, str], ...] = ()
    register_schedulable: bool = True
    provider_id: str = ""
    pod_cidr: str = ""
    cgroup_root: str = "/"
    cgroup_driver: str = "cgroupfs"
    cgroups_per_qos: bool = True
    system_reserved: dict[str, str] = field(default_factory=dict)
    kube_reserved: dict[str, str] = field(default_factory=dict)
    eviction_hard: dict[str, str] = field(default_factory=lambda: {
        "memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%",
        "imagefs.available": "15%", "imagefs.inodesFree": "5%"})
    eviction_pressure_transition_period: float = 300.0
    housekeeping_interval: float = 10.0
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int = 0  # 0: no limit, where pulls are not serialised
    registry_qps: int = 5
    image_gc_high_threshold: int = 85
    image_gc_low_threshold: int = 80
    minimum_image_ttl_duration: float = 120.0
    minimum_container_ttl_duration: float = 0.0
    maximum_dead_containers_per_container: int = 1
    container_log_max_size: int = 10 * 1024 * 1024
    container_log_max_files: int = 5
    sync_frequency: float = 60.0
    node_status_update_frequency: float = 10.0
    node_status_report_frequency: float = 300.0
    node_lease_duration_seconds: int = 40
    seccomp_default: bool = False
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    protect_kernel_defaults: bool = False
    shutdown_grace_period: float = 0.0
    pleg_period: float = 1.0

    def pod_dir(self, uid: str) -> str:
        return f"{self.root_dir}/pods/{uid}"

    def volume_dir(self, uid: str, plugin: str, name: str) -> str:
        """`plugin` in upstream's escaped form, e.g. kubernetes.io~empty-dir."""
        return f"{self.pod_dir(uid)}/volumes/{plugin}/{name}"

    def log_dir(self, namespace: str, name: str, uid: str) -> str:
        return f"{self.pod_logs_dir}/{namespace}_{name}_{uid}"
