"""Flags of kube-controller-manager. Called by: component_flags."""

from __future__ import annotations

from kubewheel.cli.component_flags import common
from kubewheel.cli.flags import Flag, grouped, without_effect

# section -> flag, count: the controllers whose workers it counts
_SYNCS = (("Cronjob controller", "cron-job", 5), ("Daemonset controller", "daemonset", 2),
          ("Deployment controller", "deployment", 5), ("Endpoint controller", "endpoint", 5),
          ("Garbagecollector controller", "gc", 20), ("Job controller", "job", 5), ("Namespace controller", "namespace", 10),
          ("Replicationcontroller", "rc", 5), ("Replicaset controller", "replicaset", 5),
          ("Resourcequota controller", "resource-quota", 5), ("Endpointslice controller", "service-endpoint", 5),
          ("Statefulset controller", "statefulset", 5), ("Ttl-after-finished controller", "ttl-after-finished", 5))


def _controller(name: str, *flags: Flag) -> tuple[Flag, ...]:
    return grouped(f"{name} controller", *flags)


FLAGS = (
    *grouped("Debugging", common.PROFILING),
    *common.election("kube-controller-manager"),
    *grouped(
        "Generic",
        Flag("allocate-node-cidrs", "bool", False, "pod ranges for nodes"),
        Flag("cluster-cidr", help="addresses of pods"),
        Flag("controllers", "list", ("*",), "'*', 'name' or '-name'"),
        common.GATES,
        *without_effect(
            Flag("cidr-allocator-type", default="RangeAllocator"), Flag("cluster-name", default="kubernetes"),
            Flag("configure-cloud-routes", "bool", True), Flag("kube-api-burst", "int", 30), Flag("kube-api-qps", "float", 20.0),
            Flag("min-resync-period", "duration", "12h0m0s")),
        *common.CLIENT_LIMITS,
        Flag("node-monitor-period", "duration", "5s"),
        Flag("use-service-account-credentials", "bool", False, "each controller acts as its own service account")),
    *(flag for section, name, count in _SYNCS for flag in grouped(
        section, Flag(f"concurrent-{name}-syncs", "int", count, "objects brought right at once"))),
    *_controller("Attachdetach", *without_effect(Flag("attach-detach-reconcile-sync-period", "duration", "1m0s"))),
    *_controller("Csrsigning", Flag("cluster-signing-cert-file"), Flag("cluster-signing-key-file"),
                 Flag("cluster-signing-duration", "duration", "8760h0m0s")),
    *_controller("Endpointslice", Flag("max-endpoints-per-slice", "int", 100)),
    *_controller("Endpointslicemirroring", Flag("mirroring-max-endpoints-per-subset", "int", 1000)),
    *_controller("Garbagecollector", Flag("enable-garbage-collector", "bool", True, has_effect=False)),
    *_controller("Horizontalpodautoscaling", *without_effect(
        Flag("horizontal-pod-autoscaler-sync-period", "duration", "15s"),
        Flag("horizontal-pod-autoscaler-tolerance", "float", 0.1),
        Flag("horizontal-pod-autoscaler-downscale-stabilization", "duration", "5m0s"),
        Flag("horizontal-pod-autoscaler-initial-readiness-delay", "duration", "30s"),
        Flag("horizontal-pod-autoscaler-cpu-initialization-period", "duration", "5m0s"))),
    *_controller("Namespace", Flag("namespace-sync-period", "duration", "5m0s", has_effect=False)),
    *_controller("Nodeipam", Flag("node-cidr-mask-size", "int", 24), Flag("service-cluster-ip-range")),
    *_controller("Nodelifecycle", Flag("node-monitor-grace-period", "duration", "50s"),
                 Flag("node-startup-grace-period", "duration", "1m0s"), *without_effect(
                     Flag("node-eviction-rate", "float", 0.1), Flag("secondary-node-eviction-rate", "float", 0.01),
                     Flag("unhealthy-zone-threshold", "float", 0.55), Flag("large-cluster-size-threshold", "int", 50))),
    *_controller("Persistentvolume-binder", Flag("pvclaimbinder-sync-period", "duration", "15s", has_effect=False)),
    *_controller("Podgc", Flag("terminated-pod-gc-threshold", "int", 12500)),
    *_controller("Resourcequota", Flag("resource-quota-sync-period", "duration", "5m0s")),
    *_controller("Serviceaccount", Flag("concurrent-serviceaccount-token-syncs", "int", 5, has_effect=False),
                 Flag("root-ca-file", help="authorities that pods trust (kube-root-ca.crt)"),
                 Flag("service-account-private-key-file", help="signs token Secrets")),
    *common.secure_serving(10257, "", "port of /healthz and /metrics; 0 off"),
    *common.DELEGATED, *common.LOG_FLAGS,
    *grouped("Misc", Flag("kubeconfig", help="path to the kubeconfig of the API server; none: the pod's service account"),
             Flag("master", help="address of the API server, overrides the kubeconfig's")),
)

_CLOUD = "there are no cloud providers"
_SIGNERS = "one pair signs for all signers: --cluster-signing-cert-file"
_BATCHES = "endpoints are written at once"
ABSENT = common.absent(
    *common.SERVING_ABSENT, *common.COMMON_ABSENT, *common.DELEGATED_ABSENT,
    (_CLOUD, "cloud-provider cloud-config external-cloud-volume-plugin route-reconciliation-period "
     "allow-untagged-cloud concurrent-service-syncs node-sync-period"),
    (_SIGNERS, """cluster-signing-kubelet-client-cert-file cluster-signing-kubelet-client-key-file
        cluster-signing-kubelet-serving-cert-file cluster-signing-kubelet-serving-key-file
        cluster-signing-kube-apiserver-client-cert-file cluster-signing-kube-apiserver-client-key-file
        cluster-signing-legacy-unknown-cert-file cluster-signing-legacy-unknown-key-file"""),
    ("one family is served: --node-cidr-mask-size", "node-cidr-mask-size-ipv4 node-cidr-mask-size-ipv6"),
    (_BATCHES, "endpoint-updates-batch-period endpointslice-updates-batch-period "
     "mirroring-endpointslice-updates-batch-period mirroring-concurrent-service-endpoint-syncs"),
    ("volume plugins are not loaded from files", "flex-volume-plugin-dir"),
    ("volumes are not recycled", """pv-recycler-pod-template-filepath-nfs pv-recycler-pod-template-filepath-hostpath
        pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath pv-recycler-minimum-timeout-nfs
        pv-recycler-timeout-increment-hostpath enable-hostpath-provisioner enable-dynamic-provisioning"""),
    ("these controllers have a fixed number of workers", """concurrent-ephemeralvolume-syncs
        concurrent-horizontal-pod-autoscaler-syncs concurrent-validating-admission-policy-status-syncs
        concurrent-resource-claim-syncs concurrent-device-taint-eviction-syncs concurrent-node-syncs"""),
    ("controllers start at once", "controller-start-interval"),
    ("the period is a year", "legacy-service-account-token-clean-up-period"),
    ("attachments are always synced", "disable-attach-detach-reconcile-sync disable-force-detach-on-timeout"),
    ("leaders do not migrate", "leader-migration-config enable-leader-migration"))
