"""Flags of kubelet. Called by: component_flags."""

from __future__ import annotations

from kubewheel.cli.component_flags import common
from kubewheel.cli.flags import Flag, grouped, without_effect

FLAGS = (
    *grouped(
        "Generic",
        Flag("kubeconfig", help="path to the kubeconfig of the API server"),
        Flag("config", help="KubeletConfiguration file (kubelet.config.k8s.io/v1beta1); flags override it"),
        Flag("root-dir", default="/var/lib/kubelet", help="where volumes and state are kept"),
        Flag("cert-dir", default="/var/lib/kubelet/pki", help="where a self-signed certificate is made"),
        Flag("hostname-override", help="name of the Node; none: the hostname"), Flag("node-ip"),
        Flag("node-labels", "map"), Flag("provider-id"), Flag("pod-cidr"),
        Flag("register-node", "bool", True), Flag("register-with-taints", "list", help="key=value:effect"),
        Flag("container-runtime-endpoint", default="unix:///run/containerd/containerd.sock", help="CRI socket"),
        Flag("runtime-request-timeout", "duration", "2m"),
        Flag("pod-manifest-path", help="directory or file of static pods"),
        Flag("file-check-frequency", "duration", "20s"), Flag("sync-frequency", "duration", "1m"),
        Flag("node-status-update-frequency", "duration", "10s"),
        Flag("kube-api-qps", "int", 50, has_effect=False), Flag("kube-api-burst", "int", 100, has_effect=False)),
    *grouped(
        "Serving",
        Flag("address", default="0.0.0.0"), Flag("port", "int", 10250),
        Flag("healthz-bind-address", default="127.0.0.1"), Flag("healthz-port", "int", 10248, "0 off"),
        Flag("tls-cert-file"), Flag("tls-private-key-file"), Flag("client-ca-file"),
        Flag("anonymous-auth", "bool", False), Flag("authentication-token-webhook", "bool", True),
        Flag("authorization-mode", default="Webhook", help="Webhook or AlwaysAllow"),
        Flag("enable-debugging-handlers", "bool", True),
        Flag("streaming-connection-idle-timeout", "duration", "4h",
             "how long exec, attach and port-forward may be idle; 0: for ever")),
    *grouped(
        "Pods",
        Flag("cluster-dns", "list"), Flag("cluster-domain", default="cluster.local"),
        Flag("resolv-conf", default="/etc/resolv.conf"),
        Flag("max-pods", "int", 110), Flag("container-log-max-size", default="10Mi"),
        Flag("container-log-max-files", "int", 5), Flag("seccomp-default", "bool", False),
        Flag("allowed-unsafe-sysctls", "list"), Flag("serialize-image-pulls", "bool", True),
        Flag("registry-qps", "int", 5),
        Flag("image-gc-high-threshold", "int", 85), Flag("image-gc-low-threshold", "int", 80),
        Flag("minimum-container-ttl-duration", "duration", "0"),
        Flag("maximum-dead-containers-per-container", "int", 1)),
    *grouped(
        "Resources",
        Flag("cgroup-driver", default="cgroupfs"), Flag("cgroup-root"), Flag("cgroups-per-qos", "bool", True),
        Flag("eviction-hard", "map", help="signal<amount; none: upstream's defaults"),
        Flag("eviction-pressure-transition-period", "duration", "5m"),
        Flag("kube-reserved", "map"), Flag("system-reserved", "map"),
        Flag("protect-kernel-defaults", "bool", False),
        *without_effect(
            Flag("enforce-node-allocatable", "list", ("pods",)), Flag("fail-swap-on", "bool", True),
            Flag("make-iptables-util-chains", "bool", True), Flag("rotate-certificates", "bool", False))),
    *grouped("Logs and features", common.GATES, common.PROFILING),
    *common.LOG_FLAGS,
)

_CGROUPS = "pods have cgroups, daemons keep theirs"
_POLICIES = "CPUs, memory and devices are not pinned"
_FILE = "static pods come from a path"
ABSENT = common.absent(
    *common.COMMON_ABSENT,
    ("a kubeconfig is needed: nodes do not bootstrap themselves", "bootstrap-kubeconfig"),
    ("one --config file is read", "config-dir"),
    ("images and containers are of one runtime", "image-service-endpoint"),
    ("there are no cloud providers", "cloud-provider cloud-config experimental-mounter-path"),
    ("everything is served over HTTPS", "read-only-port"),
    ("pods are limited by --max-pods", "pods-per-core"),
    ("thresholds are hard: --eviction-hard", "eviction-soft eviction-soft-grace-period eviction-minimum-reclaim "
     "eviction-max-pod-grace-period"),
    ("certificates are not rotated", "rotate-server-certificates"),
    (_POLICIES, """cpu-manager-policy cpu-manager-policy-options cpu-manager-reconcile-period memory-manager-policy
        topology-manager-policy topology-manager-policy-options topology-manager-scope reserved-cpus reserved-memory
        qos-reserved"""),
    ("volume plugins are built in", "volume-plugin-dir volume-stats-agg-period enable-controller-attach-detach "
     "keep-terminated-pod-volumes"),
    ("registries' credentials come from Secrets", "image-credential-provider-config image-credential-provider-bin-dir"),
    (_FILE, "manifest-url manifest-url-header http-check-frequency"),
    (_CGROUPS, "kube-reserved-cgroup system-reserved-cgroup kubelet-cgroups runtime-cgroups system-cgroups"),
    ("CPU limits are always enforced", "cpu-cfs-quota cpu-cfs-quota-period"),
    ("limits of the process are the host's", "max-open-files oom-score-adj"),
    ("pods are limited by their cgroup", "pod-max-pids"),
    ("the runtime's pause image is used", "pod-infra-container-image"),
    ("events are not throttled", "event-qps event-burst"),
    ("pulls are limited by --registry-qps", "registry-burst"),
    ("OpenSSL's defaults are served", "tls-cipher-suites tls-min-version tls-curve-preferences"),
    ("storage is always isolated", "local-storage-capacity-isolation"),
    ("one kubelet runs on a node", "lock-file exit-on-lock-contention"),
    ("all images are told", "node-status-max-images"),
    ("the CNI plugin decides", "hairpin-mode"),
    ("a kubelet runs for ever", "run-once runonce"),
    ("all sysctls are namespaced or refused", "experimental-allowed-unsafe-sysctls"),
    ("dead images are collected by age of use", "maximum-dead-containers image-gc-max-age"),
    ("answers of the API server are not kept", "authentication-token-webhook-cache-ttl "
     "authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl"),
    ("cAdvisor is not in kubewheel", """application-metrics-count-limit boot-id-file container-hints containerd
        containerd-namespace enable-load-reader event-storage-age-limit event-storage-event-limit
        global-housekeeping-interval housekeeping-interval log-cadvisor-usage machine-id-file storage-driver-buffer-duration
        storage-driver-db storage-driver-host storage-driver-password storage-driver-secure storage-driver-table
        storage-driver-user"""))
