"""Component configuration files: KubeletConfiguration, KubeProxyConfiguration, KubeSchedulerConfiguration.

In: a YAML path. Out: option values by our names. Decoding is strict, as upstream's: unknown and repeated fields are
errors; fields upstream knows and we do nothing with are logged. Called by: run/alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from kubewheel.api import durations, quantity
from kubewheel.run.ended import Ended

log = logging.getLogger(__name__)

Json = dict[str, Any]


class _Strict(yaml.CSafeLoader):
    """Refuses a key given twice."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> Json:
    out: Json = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in out:
            raise Ended(f'strict decoding error: yaml: line {key_node.start_mark.line + 1}: key "{key}" already set '
                        "in map")
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: str, *, group: str, kind: str) -> Json:
    """The document; Ended names the file where it is not one of that kind."""
    try:
        doc = yaml.load(Path(path).read_bytes(), Loader=_Strict)
    except (OSError, yaml.YAMLError) as e:
        raise Ended(f"failed to load config file, path: {path}, error: {e}") from e
    except Ended as e:
        raise Ended(f"failed to load config file, path: {path}, error: {e}") from e
    if not isinstance(doc, dict):
        raise Ended(f"failed to load config file, path: {path}, error: couldn't get version/kind; json parse error")
    if doc.get("apiVersion") != group or doc.get("kind") != kind:
        raise Ended(f"failed to load config file, path: {path}, error: no kind \"{doc.get('kind', '')}\" is registered "
                    f"for version \"{doc.get('apiVersion', '')}\"")
    return {k: v for k, v in doc.items() if k not in ("apiVersion", "kind")}


# -- values -------------------------------------------------------------------------------------------------------
def seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value / 1e9  # Go's Duration as a number
    return durations.parse(str(value))


def size(value: Any) -> int:
    return quantity.value(str(value))


def texts(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in value or ())


def strings(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in (value or {}).items()}


def taints(value: Any) -> tuple[dict[str, str], ...]:
    return tuple({k: str(t[k]) for k in ("key", "value", "effect") if t.get(k)} for t in value or ())


def endpoint(text: str, *, port: int) -> tuple[str, int]:
    """(address, port) of "ip:port", "[ip6]:port" or "ip"; ("", 0) of ""."""
    if not text:
        return "", 0
    if text.count(":") == 1 or "]:" in text:
        host, _, number = text.rpartition(":")
        if not number.isdigit():
            raise Ended(f'invalid address "{text}": must be ip:port')
        return host.strip("[]"), int(number)
    return text.strip("[]"), port


POINTERS = frozenset({"healthzPort", "registryPullQPS", "evictionHard"})  # 0 is a value of its own there
Field = tuple[str, Callable[[Any], Any]]  # our option, how its value is read


def apply(doc: Json, fields: Mapping[str, Field], idle: frozenset[str], *, kind: str, path: str) -> Json:
    """Our options by name. Zero values of numbers, durations and texts mean the default, as upstream has it."""
    out: Json = {}
    flat = _flatten(doc, {name.rsplit(".", 1)[0] for name in fields if "." in name})
    for name, value in flat.items():
        if name in fields:
            option, read_value = fields[name]
            try:
                read_ = read_value(value) if value is not None else None
            except (ValueError, TypeError, AttributeError, KeyError) as e:
                raise Ended(f"failed to load config file, path: {path}, error: {kind}.{name}: {e}") from e
            if isinstance(value, bool) or read_ or (name in POINTERS and read_ is not None):
                out[option] = read_
        elif name in idle:
            if value not in (None, "", {}, [], 0, "0s", False):
                log.info("%s.%s is accepted; no effect here", kind, name)
        else:
            raise Ended(f"failed to load config file, path: {path}, error: strict decoding error: "
                        f'unknown field "{name}"')
    return out


def _flatten(doc: Json, nested: set[str], prefix: str = "") -> Json:
    """{"authentication": {"anonymous": {"enabled": …}}} -> {"authentication.anonymous.enabled": …} where a field of
    ours lies below."""
    parents = {p for full in nested for p in _prefixes(full)}
    out: Json = {}
    for key, value in doc.items():
        name = f"{prefix}{key}"
        if name in parents and isinstance(value, dict):
            out |= _flatten(value, nested, f"{name}.")
        elif not (name in parents and value is None):
            out[name] = value
    return out


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:i + 1]) for i in range(len(parts))]


# -- kubelet ------------------------------------------------------------------------------------------------------
KUBELET: dict[str, Field] = {
    "address": ("address", str), "port": ("port", int), "tlsCertFile": ("tls_cert_file", str),
    "tlsPrivateKeyFile": ("tls_private_key_file", str), "healthzPort": ("healthz_port", int),
    "healthzBindAddress": ("healthz_bind_address", str),
    "authentication.x509.clientCAFile": ("client_ca_file", str),
    "authentication.webhook.enabled": ("authentication_token_webhook", bool),
    "authentication.anonymous.enabled": ("anonymous_auth", bool),
    "authorization.mode": ("authorization_mode", str),
    "staticPodPath": ("pod_manifest_path", str), "fileCheckFrequency": ("file_check_frequency", seconds),
    "syncFrequency": ("sync_frequency", seconds), "enableDebuggingHandlers": ("enable_debugging_handlers", bool),
    "clusterDomain": ("cluster_domain", str), "clusterDNS": ("cluster_dns", texts),
    "streamingConnectionIdleTimeout": ("streaming_connection_idle_timeout", seconds),
    "nodeStatusUpdateFrequency": ("node_status_update_frequency", seconds),
    "nodeStatusReportFrequency": ("node_status_report_frequency", seconds),
    "nodeLeaseDurationSeconds": ("node_lease_duration_seconds", int),
    "imageMinimumGCAge": ("minimum_image_ttl_duration", seconds),
    "imageGCHighThresholdPercent": ("image_gc_high_threshold", int),
    "imageGCLowThresholdPercent": ("image_gc_low_threshold", int),
    "cgroupRoot": ("cgroup_root", str), "cgroupsPerQOS": ("cgroups_per_qos", bool),
    "cgroupDriver": ("cgroup_driver", str), "runtimeRequestTimeout": ("runtime_request_timeout", seconds),
    "maxPods": ("max_pods", int), "podCIDR": ("pod_cidr", str), "resolvConf": ("resolv_conf", str),
    "registryPullQPS": ("registry_qps", int), "serializeImagePulls": ("serialize_image_pulls", bool),
    "maxParallelImagePulls": ("max_parallel_image_pulls", int), "evictionHard": ("eviction_hard", strings),
    "evictionPressureTransitionPeriod": ("eviction_pressure_transition_period", seconds),
    "protectKernelDefaults": ("protect_kernel_defaults", bool), "containerLogMaxSize": ("container_log_max_size", size),
    "containerLogMaxFiles": ("container_log_max_files", int), "systemReserved": ("system_reserved", strings),
    "kubeReserved": ("kube_reserved", strings), "allowedUnsafeSysctls": ("allowed_unsafe_sysctls", texts),
    "providerID": ("provider_id", str), "registerWithTaints": ("register_with_taints", taints),
    "registerNode": ("register_node", bool), "seccompDefault": ("seccomp_default", bool),
    "containerRuntimeEndpoint": ("container_runtime_endpoint", str), "podLogsDir": ("pod_logs_dir", str),
    "shutdownGracePeriod": ("shutdown_grace_period", seconds),
}
KUBELET_IDLE = frozenset("""enableServer authentication.webhook.cacheTTL authorization.webhook httpCheckFrequency
staticPodURL staticPodURLHeader readOnlyPort tlsCipherSuites tlsMinVersion tlsCurvePreferences rotateCertificates
serverTLSBootstrap registryBurst imagePullCredentialsVerificationPolicy preloadedImagesVerificationAllowlist
eventRecordQPS eventBurst
enableContentionProfiling enableProfilingHandler enableDebugFlagsHandler oomScoreAdj imageMaximumGCAge
volumeStatsAggPeriod kubeletCgroups systemCgroups cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions
cpuManagerReconcilePeriod memoryManagerPolicy topologyManagerPolicy topologyManagerScope topologyManagerPolicyOptions
qosReserved hairpinMode podPidsLimit runOnce cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType
kubeAPIQPS kubeAPIBurst evictionSoft evictionSoftGracePeriod evictionMaxPodGracePeriod evictionMinimumReclaim
mergeDefaultEvictionSettings podsPerCore enableControllerAttachDetach makeIPTablesUtilChains iptablesMasqueradeBit
iptablesDropBit featureGates failSwapOn memorySwap containerLogMaxWorkers containerLogMonitorInterval
configMapAndSecretChangeDetectionStrategy systemReservedCgroup kubeReservedCgroup enforceNodeAllocatable
volumePluginDir kernelMemcgNotification logging enableSystemLogHandler enableSystemLogQuery showHiddenMetricsForVersion
shutdownGracePeriodCriticalPods shutdownGracePeriodByPodPriority crashLoopBackOff reservedMemory memoryThrottlingFactor
reservedSystemCPUs enableProfilingHandler localStorageCapacityIsolation tracing imageServiceEndpoint userNamespaces
memoryReservationPolicy""".split())


def kubelet(path: str) -> Json:
    """Fields of kubelet/options.Options."""
    doc = read(path, group="kubelet.config.k8s.io/v1beta1", kind="KubeletConfiguration")
    return apply(doc, KUBELET, KUBELET_IDLE, kind="KubeletConfiguration", path=path)


# -- proxy --------------------------------------------------------------------------------------------------------
PROXY: dict[str, Field] = {
    "hostnameOverride": ("hostname_override", str), "mode": ("proxy_mode", str), "clusterCIDR": ("cluster_cidr", str),
    "healthzBindAddress": ("healthz_bind_address", str), "metricsBindAddress": ("metrics_bind_address", str),
    "clientConnection.kubeconfig": ("kubeconfig", str), "nftables.syncPeriod": ("sync_period", seconds),
    "nftables.minSyncPeriod": ("min_sync_period", seconds),
}
PROXY_IDLE = frozenset("""featureGates nftables.masqueradeAll nftables.masqueradeBit
clientConnection.acceptContentTypes clientConnection.contentType clientConnection.qps clientConnection.burst logging
bindAddress bindAddressHardFail enableProfiling showHiddenMetricsForVersion iptables ipvs winkernel detectLocalMode
detectLocal nodePortAddresses oomScoreAdj conntrack configSyncPeriod portRange windowsRunAsService""".split())


def proxy(path: str) -> Json:
    doc = read(path, group="kubeproxy.config.k8s.io/v1alpha1", kind="KubeProxyConfiguration")
    return apply(doc, PROXY, PROXY_IDLE, kind="KubeProxyConfiguration", path=path)


# -- scheduler ----------------------------------------------------------------------------------------------------
SCHEDULER: dict[str, Field] = {
    "leaderElection.leaderElect": ("leader_elect", bool),
    "leaderElection.leaseDuration": ("leader_elect_lease_duration", seconds),
    "leaderElection.renewDeadline": ("leader_elect_renew_deadline", seconds),
    "leaderElection.retryPeriod": ("leader_elect_retry_period", seconds),
    "leaderElection.resourceLock": ("leader_elect_resource_lock", str),
    "leaderElection.resourceName": ("leader_elect_resource_name", str),
    "leaderElection.resourceNamespace": ("leader_elect_resource_namespace", str),
    "clientConnection.kubeconfig": ("kubeconfig", str),
}
# Read by scheduler/profile.
SCHEDULER_OWN = ("profiles", "podInitialBackoffSeconds", "podMaxBackoffSeconds", "extenders")
SCHEDULER_IDLE = frozenset("""clientConnection.acceptContentTypes clientConnection.contentType clientConnection.qps
clientConnection.burst parallelism healthzBindAddress metricsBindAddress enableProfiling enableContentionProfiling
percentageOfNodesToScore delayCacheUntilActive""".split())


def scheduler(path: str) -> tuple[Json, Json]:
    """(our options by flag name, the document for scheduler/profile)."""
    doc = read(path, group="kubescheduler.config.k8s.io/v1", kind="KubeSchedulerConfiguration")
    rest = {k: v for k, v in doc.items() if k not in SCHEDULER_OWN}
    options = apply(rest, SCHEDULER, SCHEDULER_IDLE, kind="KubeSchedulerConfiguration", path=path)
    own = {k: doc[k] for k in SCHEDULER_OWN if k in doc}
    return options, {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration", **own}
