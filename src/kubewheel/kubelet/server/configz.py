"""/configz: the settings in force as a KubeletConfiguration (kubelet.config.k8s.io/v1beta1). Pure.

In: Options. Out: JSON under upstream's names. Called by: server.py. What there is no setting for is not shown.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import durations
from kubewheel.kubelet.options import Options
from kubewheel.lib import nested

PLAIN = {
    "staticPodPath": "pod_manifest_path", "address": "address", "port": "port", "tlsCertFile": "tls_cert_file",
    "tlsPrivateKeyFile": "tls_private_key_file", "authentication.x509.clientCAFile": "client_ca_file",
    "authentication.webhook.enabled": "authentication_token_webhook", "authentication.anonymous.enabled": "anonymous_auth",
    "authorization.mode": "authorization_mode", "registryPullQPS": "registry_qps",
    "enableDebuggingHandlers": "enable_debugging_handlers", "healthzPort": "healthz_port",
    "healthzBindAddress": "healthz_bind_address", "clusterDomain": "cluster_domain", "clusterDNS": "cluster_dns",
    "nodeLeaseDurationSeconds": "node_lease_duration_seconds", "imageGCHighThresholdPercent": "image_gc_high_threshold",
    "imageGCLowThresholdPercent": "image_gc_low_threshold", "cgroupRoot": "cgroup_root", "cgroupsPerQOS": "cgroups_per_qos",
    "cgroupDriver": "cgroup_driver", "maxPods": "max_pods", "podCIDR": "pod_cidr", "resolvConf": "resolv_conf",
    "serializeImagePulls": "serialize_image_pulls", "evictionHard": "eviction_hard",
    "protectKernelDefaults": "protect_kernel_defaults", "containerLogMaxFiles": "container_log_max_files",
    "systemReserved": "system_reserved", "kubeReserved": "kube_reserved", "allowedUnsafeSysctls": "allowed_unsafe_sysctls",
    "providerID": "provider_id", "registerWithTaints": "register_with_taints", "registerNode": "register_node",
    "seccompDefault": "seccomp_default", "containerRuntimeEndpoint": "container_runtime_endpoint",
    "podLogsDir": "pod_logs_dir"}
DURATIONS = {
    "syncFrequency": "sync_frequency", "fileCheckFrequency": "file_check_frequency",
    "streamingConnectionIdleTimeout": "streaming_connection_idle_timeout",
    "nodeStatusUpdateFrequency": "node_status_update_frequency",
    "nodeStatusReportFrequency": "node_status_report_frequency", "imageMinimumGCAge": "minimum_image_ttl_duration",
    "runtimeRequestTimeout": "runtime_request_timeout",
    "evictionPressureTransitionPeriod": "eviction_pressure_transition_period",
    "shutdownGracePeriod": "shutdown_grace_period"}
_OMITTED: tuple[Any, ...] = ("", (), {}, None)  # upstream leaves out what is empty, but for what is a pointer or a boolean


def document(options: Options) -> dict[str, Any]:
    values = {name: getattr(options, option) for name, option in PLAIN.items()}
    values = {name: value for name, value in values.items() if value not in _OMITTED}
    values |= {name: durations.go(getattr(options, option)) for name, option in DURATIONS.items()}
    values["healthzPort"] = max(options.healthz_port, 0)  # 0 is off, here -1
    values["containerLogMaxSize"] = _size(options.container_log_max_size)
    if options.max_parallel_image_pulls:
        values["maxParallelImagePulls"] = options.max_parallel_image_pulls
    kind = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
    return {"kubeletconfig": {**nested.unflattened(values), **kind}}


def _size(count: int) -> str:
    for unit, size in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return str(count)
