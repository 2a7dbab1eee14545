"""Upstream's main flags of each component, one table each, with upstream's names, groups and defaults.

ABSENT names upstream's flags that are not here: given, they are refused by name instead of being taken silently.
Called by: cli/components.
"""

from __future__ import annotations

from kubewheel.cli.flags import Flag, grouped, without_effect

COMMON = grouped(
    "Logs",
    Flag("v", "int", 0, "number for the log level verbosity; 4 and more is debug", short="v"),
    *without_effect(
        Flag("vmodule", help="comma-separated pattern=N settings for file-filtered logging"),
        Flag("logging-format", default="text", help="text or json"),
        Flag("feature-gates", "map", help="name=true|false pairs"),
        Flag("profiling", "bool", True, "serve /debug/pprof")))
CLIENT = grouped(
    "Generic",
    Flag("kubeconfig", help="path to the kubeconfig of the API server; none: the pod's service account"),
    Flag("master", help="address of the API server, overrides the kubeconfig's"),
    *without_effect(
        Flag("kube-api-qps", "float", 50.0, "queries a second to the API server"),
        Flag("kube-api-burst", "int", 100, "burst of queries to the API server"),
        Flag("kube-api-content-type", default="application/vnd.kubernetes.protobuf", help="how requests are written")))
SERVING = grouped(
    "Secure serving",
    Flag("bind-address", default="0.0.0.0", help="address to serve on"),
    Flag("tls-cert-file", help="certificate to serve with; none: a self-signed one"),
    Flag("tls-private-key-file", help="its key"),
    Flag("tls-min-version", help="VersionTLS12 or VersionTLS13"))
DELEGATED = (
    *grouped("Authentication",
             Flag("authentication-kubeconfig", help="kubeconfig to ask about tokens with (default: --kubeconfig)"),
             Flag("authentication-tolerate-lookup-failure", "bool", True, has_effect=False),
             Flag("client-ca-file", help="authorities of client certificates"),
             Flag("requestheader-client-ca-file", has_effect=False)),
    *grouped("Authorization",
             Flag("authorization-kubeconfig", help="kubeconfig to ask about access with (default: --kubeconfig)"),
             Flag("authorization-always-allow-paths", "list", ("/healthz", "/readyz", "/livez"),
                  "paths open to all; an ending /* takes in all below")))


def _election(name: str) -> tuple[Flag, ...]:
    return grouped(
        "Leader election",
        Flag("leader-elect", "bool", True, "elect one leader among several"),
        Flag("leader-elect-lease-duration", "duration", "15s", "after so long without renewal others may take over"),
        Flag("leader-elect-renew-deadline", "duration", "10s", "the leader gives up after so long without renewal"),
        Flag("leader-elect-retry-period", "duration", "2s", "between tries"),
        Flag("leader-elect-resource-lock", default="leases", help="leases"),
        Flag("leader-elect-resource-name", default=name, help="name of the Lease"),
        Flag("leader-elect-resource-namespace", default="kube-system", help="namespace of the Lease"))


APISERVER = (
    *grouped(
        "Generic",
        Flag("advertise-address", help="address that others reach this server by; none: --bind-address, or that of "
             "the default route"),
        Flag("event-ttl", "duration", "1h", "how long events are kept"),
        *without_effect(
            Flag("max-requests-inflight", "int", 400), Flag("max-mutating-requests-inflight", "int", 200),
            Flag("min-request-timeout", "int", 1800), Flag("request-timeout", "duration", "1m"),
            Flag("shutdown-delay-duration", "duration", "0"), Flag("goaway-chance", "float", 0.0))),
    *grouped(
        "Storage",
        Flag("storage-path", help="file of the embedded SQLite store"),
        Flag("storage-backend", help="sqlite (default) or memory"),
        Flag("etcd-servers", "list", help="sqlite:PATH or memory; endpoints of an etcd are refused"),
        Flag("etcd-compaction-interval", "duration", "5m", "between compactions of the store; 0 off")),
    *SERVING,
    *grouped(
        "Secure serving",
        Flag("secure-port", "int", 6443, "port to serve HTTPS on"),
        Flag("cert-dir", default="/var/run/kubernetes", help="where certificate and keys are made if none are named")),
    *grouped(
        "Authentication",
        Flag("anonymous-auth", "bool", True, "requests without credentials are of system:anonymous"),
        Flag("api-audiences", "list", help="audiences of tokens; none: the first issuer"),
        Flag("client-ca-file", help="authorities of client certificates"),
        Flag("enable-bootstrap-token-auth", "bool", False, "secrets of type bootstrap.kubernetes.io/token are tokens"),
        Flag("requestheader-client-ca-file", help="authorities of the front proxy"),
        Flag("requestheader-allowed-names", "list", help="common names of the front proxy; none: all"),
        Flag("requestheader-username-headers", "list", ("X-Remote-User",)),
        Flag("requestheader-uid-headers", "list", ("X-Remote-Uid",)),
        Flag("requestheader-group-headers", "list", ("X-Remote-Group",)),
        Flag("requestheader-extra-headers-prefix", "list", ("X-Remote-Extra-",)),
        Flag("service-account-issuer", "list", ("https://kubernetes.default.svc.cluster.local",),
             "repeatable: the first issues, all are taken"),
        Flag("service-account-key-file", "list", help="keys that verify service account tokens"),
        Flag("service-account-signing-key-file", help="key that signs them; none: one made in --cert-dir"),
        Flag("service-account-max-token-expiration", "duration", "0"),
        Flag("service-account-extend-token-expiration", "bool", True),
        Flag("token-auth-file", help="csv: token,user,uid,\"group1,group2\"")),
    *grouped("Authorization", Flag("authorization-mode", "list", ("Node", "RBAC"), "in order; also AlwaysAllow, "
                                   "AlwaysDeny")),
    *grouped("Admission", Flag("enable-admission-plugins", "list", help="besides those on by default"),
             Flag("disable-admission-plugins", "list", help="of those on by default")),
    *grouped(
        "Misc",
        Flag("allow-privileged", "bool", True, "only true is here"),
        Flag("kubelet-certificate-authority", help="authorities of the kubelets' certificates"),
        Flag("kubelet-client-certificate", help="certificate shown to kubelets"), Flag("kubelet-client-key"),
        Flag("kubelet-preferred-address-types", "list",
             ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"), "of a Node, to reach its kubelet"),
        Flag("kubernetes-service-node-port", "int", 0, has_effect=False),
        Flag("proxy-client-cert-file", help="certificate shown to extension API servers"),
        Flag("proxy-client-key-file"),
        Flag("service-cluster-ip-range", default="10.96.0.0/16", help="addresses of Services"),
        Flag("service-node-port-range", default="30000-32767", help="ports of NodePort Services"),
        Flag("enable-aggregator-routing", "bool", False, has_effect=False),
        Flag("endpoint-reconciler-type", default="lease", help="lease, or none: the kubernetes Service is not kept")),
    *COMMON,
)

# flag -> the controllers whose workers it counts
SYNCS = (("cron-job", 5), ("daemonset", 2), ("deployment", 5), ("endpoint", 5), ("gc", 20), ("job", 5),
         ("namespace", 10), ("rc", 5), ("replicaset", 5), ("resource-quota", 5), ("service-endpoint", 5),
         ("statefulset", 5), ("ttl-after-finished", 5))

CONTROLLER_MANAGER = (
    *CLIENT,
    *grouped(
        "Generic",
        Flag("controllers", "list", ("*",), "'*', 'name' or '-name'"),
        Flag("use-service-account-credentials", "bool", False, "each controller acts as its own service account"),
        Flag("allocate-node-cidrs", "bool", False, "pod ranges for nodes"),
        Flag("cluster-cidr", help="addresses of pods"), Flag("node-cidr-mask-size", "int", 24),
        Flag("cluster-name", default="kubernetes", has_effect=False),
        Flag("configure-cloud-routes", "bool", True, has_effect=False),
        Flag("min-resync-period", "duration", "12h", has_effect=False),
        Flag("node-monitor-period", "duration", "5s")),
    *_election("kube-controller-manager"), *SERVING,
    *grouped("Secure serving", Flag("secure-port", "int", 10257, "port of /healthz and /metrics; 0 off")),
    *DELEGATED,
    *grouped(
        "Controllers",
        *(Flag(f"concurrent-{name}-syncs", "int", count, "objects brought right at once") for name, count in SYNCS),
        Flag("cluster-signing-cert-file"), Flag("cluster-signing-key-file"),
        Flag("cluster-signing-duration", "duration", "8760h"),
        Flag("root-ca-file", help="authorities that pods trust (kube-root-ca.crt)"),
        Flag("service-account-private-key-file", help="signs token Secrets"), Flag("service-cluster-ip-range"),
        Flag("max-endpoints-per-slice", "int", 100),
        Flag("node-monitor-grace-period", "duration", "50s"), Flag("node-startup-grace-period", "duration", "1m"),
        Flag("resource-quota-sync-period", "duration", "5m"),
        Flag("terminated-pod-gc-threshold", "int", 12500),
        *without_effect(
            Flag("enable-garbage-collector", "bool", True), Flag("namespace-sync-period", "duration", "5m"),
            Flag("node-eviction-rate", "float", 0.1), Flag("secondary-node-eviction-rate", "float", 0.01),
            Flag("unhealthy-zone-threshold", "float", 0.55), Flag("large-cluster-size-threshold", "int", 50),
            Flag("concurrent-serviceaccount-token-syncs", "int", 5),
            Flag("attach-detach-reconcile-sync-period", "duration", "1m"),
            Flag("pvclaimbinder-sync-period", "duration", "15s"),
            Flag("horizontal-pod-autoscaler-sync-period", "duration", "15s"),
            Flag("horizontal-pod-autoscaler-tolerance", "float", 0.1),
            Flag("horizontal-pod-autoscaler-downscale-stabilization", "duration", "5m"),
            Flag("horizontal-pod-autoscaler-initial-readiness-delay", "duration", "30s"),
            Flag("horizontal-pod-autoscaler-cpu-initialization-period", "duration", "5m"))),
    *COMMON,
)

SCHEDULER = (
    *grouped("Misc", Flag("config", help="KubeSchedulerConfiguration file (kubescheduler.config.k8s.io/v1)")),
    *CLIENT, *_election("kube-scheduler"), *SERVING,
    *grouped("Secure serving", Flag("secure-port", "int", 10259, "port of /healthz and /metrics; 0 off")),
    *DELEGATED, *COMMON,
)

KUBELET = (
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
    *COMMON,
)

PROXY = (
    *CLIENT,
    *grouped(
        "Proxy",
        Flag("config", help="KubeProxyConfiguration file (kubeproxy.config.k8s.io/v1alpha1); --hostname-override "
             "and --proxy-mode override it"),
        Flag("hostname-override", help="name of the Node; none: the hostname"),
        Flag("cluster-cidr", help="addresses of pods: traffic from elsewhere is masqueraded"),
        Flag("proxy-mode", default="nftables", help="nftables"),
        Flag("healthz-bind-address", default="0.0.0.0:10256", help="ip:port; empty: off"),
        Flag("metrics-bind-address", default="127.0.0.1:10249", help="ip:port; empty: off"),
        Flag("cleanup", "bool", False, "remove the rules and end"),
        *without_effect(
            Flag("bind-address", default="0.0.0.0"), Flag("config-sync-period", "duration", "15m"),
            Flag("conntrack-max-per-core", "int", 32768), Flag("conntrack-min", "int", 131072),
            Flag("conntrack-tcp-timeout-established", "duration", "24h"),
            Flag("conntrack-tcp-timeout-close-wait", "duration", "1h"))),
    *COMMON,
)

TABLES = {"apiserver": APISERVER, "controller-manager": CONTROLLER_MANAGER, "scheduler": SCHEDULER,
          "kubelet": KUBELET, "proxy": PROXY}

_SERVING_ABSENT = ("tls-cipher-suites tls-sni-cert-key http2-max-streams-per-connection permit-port-sharing "
                   "permit-address-sharing disable-http2-serving")
ABSENT = {verb: frozenset(names.split()) for verb, names in {
    "apiserver": f"""{_SERVING_ABSENT} etcd-cafile etcd-certfile etcd-keyfile etcd-prefix etcd-servers-overrides
        etcd-count-metric-poll-period etcd-healthcheck-timeout etcd-readycheck-timeout delete-collection-workers
        encryption-provider-config encryption-provider-config-automatic-reload storage-media-type watch-cache
        watch-cache-sizes audit-policy-file audit-log-path audit-log-format audit-log-maxage audit-log-maxbackup
        audit-log-maxsize audit-log-mode audit-webhook-config-file audit-webhook-mode authentication-config
        authentication-token-webhook-config-file authentication-token-webhook-cache-ttl
        authentication-token-webhook-version oidc-issuer-url oidc-client-id oidc-ca-file oidc-username-claim
        oidc-username-prefix oidc-groups-claim oidc-groups-prefix oidc-required-claim oidc-signing-algs
        service-account-jwks-uri service-account-lookup service-account-signing-endpoint authorization-config
        authorization-policy-file authorization-webhook-config-file authorization-webhook-version
        authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl
        admission-control-config-file runtime-config cors-allowed-origins external-hostname
        default-not-ready-toleration-seconds default-unreachable-toleration-seconds egress-selector-config-file
        tracing-config-file peer-ca-file peer-advertise-ip peer-advertise-port enable-priority-and-fairness
        livez-grace-period max-connection-bytes-per-sec strict-transport-security-directives kubelet-port
        kubelet-timeout aggregator-reject-forwarding-redirects cloud-provider cloud-config
        identity-lease-duration-seconds
        emulated-version""",
    "controller-manager": f"""{_SERVING_ABSENT} cert-dir cloud-provider cloud-config external-cloud-volume-plugin
        cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file
        cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file
        cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file
        cluster-signing-legacy-unknown-cert-file cluster-signing-legacy-unknown-key-file
        node-cidr-mask-size-ipv4 node-cidr-mask-size-ipv6 route-reconciliation-period
        endpoint-updates-batch-period endpointslice-updates-batch-period flex-volume-plugin-dir
        pv-recycler-pod-template-filepath-nfs pv-recycler-pod-template-filepath-hostpath
        requestheader-allowed-names requestheader-username-headers requestheader-group-headers
        requestheader-extra-headers-prefix concurrent-service-syncs concurrent-ephemeralvolume-syncs
        concurrent-horizontal-pod-autoscaler-syncs mirroring-concurrent-service-endpoint-syncs
        mirroring-endpointslice-updates-batch-period mirroring-max-endpoints-per-subset controller-start-interval
        legacy-service-account-token-clean-up-period contention-profiling disable-attach-detach-reconcile-sync
        leader-migration-config enable-leader-migration emulated-version""",
    "scheduler": f"""{_SERVING_ABSENT} cert-dir write-config-to pod-max-in-unschedulable-pods-duration
        requestheader-allowed-names requestheader-username-headers requestheader-group-headers
        requestheader-extra-headers-prefix contention-profiling emulated-version""",
    "kubelet": """bootstrap-kubeconfig config-dir image-service-endpoint cloud-provider cloud-config read-only-port
        pods-per-core eviction-soft eviction-soft-grace-period eviction-minimum-reclaim eviction-max-pod-grace-period
        rotate-server-certificates cpu-manager-policy cpu-manager-policy-options memory-manager-policy
        topology-manager-policy topology-manager-scope reserved-cpus reserved-memory volume-plugin-dir
        volume-stats-agg-period image-credential-provider-config image-credential-provider-bin-dir manifest-url
        manifest-url-header http-check-frequency kube-reserved-cgroup system-reserved-cgroup kubelet-cgroups
        runtime-cgroups cpu-cfs-quota cpu-cfs-quota-period qos-reserved max-open-files oom-score-adj pod-max-pids
        pod-infra-container-image event-qps event-burst registry-burst
        tls-cipher-suites tls-min-version local-storage-capacity-isolation lock-file exit-on-lock-contention
        node-status-max-images hairpin-mode enable-controller-attach-detach run-once keep-terminated-pod-volumes
        contention-profiling""",
    "proxy": """masquerade-all iptables-masquerade-bit iptables-sync-period iptables-min-sync-period
        iptables-localhost-nodeports ipvs-scheduler ipvs-strict-arp ipvs-sync-period ipvs-min-sync-period
        ipvs-exclude-cidrs ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout nodeport-addresses
        write-config-to detect-local-mode pod-bridge-interface pod-interface-name-prefix show-hidden-metrics-for-version
        conntrack-tcp-be-liberal conntrack-udp-timeout conntrack-udp-timeout-stream bind-address-hard-fail init-only""",
}.items()}
