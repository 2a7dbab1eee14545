"""Flags of kube-apiserver. Called by: component_flags."""

from __future__ import annotations

from kubewheel.cli.component_flags import common
from kubewheel.cli.flags import Flag, grouped, without_effect

FLAGS = (
    *grouped(
        "Generic",
        Flag("advertise-address", "ip", help="address that others reach this server by; none: --bind-address, or that of "
             "the default route"),
        Flag("external-hostname", help="host name in the addresses this server tells (OpenID configuration)"),
        common.GATES,
        Flag("goaway-chance", "float", 0.0, "0 to 0.02; of HTTP/2 connections only, which there are not", has_effect=False),
        Flag("livez-grace-period", "duration", "0s", "how long after the start /livez does not mind unfinished hooks"),
        Flag("max-requests-inflight", "int", 400, "reading requests served at once; 0: any number"),
        Flag("max-mutating-requests-inflight", "int", 200, "writing requests served at once; 0: any number"),
        Flag("min-request-timeout", "int", 1800, "seconds a watch lasts at least, up to twice as long by chance"),
        Flag("request-timeout", "duration", "1m0s", "after which a request that is not long-running is ended with 504"),
        Flag("shutdown-delay-duration", "duration", "0s", "how long is served on, /readyz failing, once told to end"),
        *without_effect(Flag("storage-initialization-timeout", "duration", "1m0s"))),
    *grouped(
        "Etcd",
        Flag("storage-path", help="file of the embedded SQLite store"),
        Flag("storage-backend", help="sqlite (default) or memory"),
        Flag("etcd-servers", "list", help="sqlite:PATH or memory; endpoints of an etcd are refused"),
        Flag("etcd-compaction-interval", "duration", "5m0s", "between compactions of the store; 0 off"),
        Flag("watch-cache", "bool", True, "only true is here"),
        *without_effect(
            Flag("delete-collection-workers", "int", 1), Flag("enable-garbage-collector", "bool", True),
            Flag("etcd-count-metric-poll-period", "duration", "1m0s"), Flag("etcd-db-metric-poll-interval", "duration", "30s"),
            Flag("etcd-healthcheck-timeout", "duration", "2s"), Flag("etcd-readycheck-timeout", "duration", "2s"),
            Flag("watch-cache-sizes", "list"))),
    *common.secure_serving(6443, "/var/run/kubernetes", "port to serve HTTPS on"),
    *grouped("Features", common.PROFILING),
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
        Flag("service-account-jwks-uri", help="where the OpenID configuration says the keys are"),
        Flag("service-account-key-file", "list", help="keys that verify service account tokens"),
        Flag("service-account-lookup", "bool", True, "only true is here"),
        Flag("service-account-max-token-expiration", "duration", "0s"),
        Flag("service-account-extend-token-expiration", "bool", True),
        Flag("token-auth-file", help="csv: token,user,uid,\"group1,group2\"")),
    *grouped("Authorization", Flag("authorization-mode", "list", ("Node", "RBAC"), "in order; also AlwaysAllow, "
                                   "AlwaysDeny")),
    *grouped("API enablement", Flag("runtime-config", "switches", help="api/all, api/ga, api/beta, api/alpha, "
                                    "group/version or group/version/resource =true|false")),
    *grouped("Admission", Flag("enable-admission-plugins", "list", help="besides those on by default"),
             Flag("disable-admission-plugins", "list", help="of those on by default")),
    *common.LOG_FLAGS,
    *grouped(
        "Misc",
        Flag("aggregator-reject-forwarding-redirects", "bool", True, "an extension API server may not redirect"),
        Flag("allow-privileged", "bool", True, "only true is here"),
        Flag("enable-aggregator-routing", "bool", False, "reach extension API servers by endpoint, not by cluster IP"),
        Flag("endpoint-reconciler-type", default="lease", help="lease, or none: the kubernetes Service is not kept"),
        Flag("event-ttl", "duration", "1h0m0s", "how long events are kept"),
        Flag("kubelet-certificate-authority", help="authorities of the kubelets' certificates"),
        Flag("kubelet-client-certificate", help="certificate shown to kubelets"), Flag("kubelet-client-key"),
        Flag("kubelet-preferred-address-types", "list",
             ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"), "of a Node, to reach its kubelet"),
        Flag("kubelet-timeout", "duration", "5s", has_effect=False),
        Flag("kubernetes-service-node-port", "int", 0, has_effect=False),
        Flag("proxy-client-cert-file", help="certificate shown to extension API servers"),
        Flag("proxy-client-key-file"),
        Flag("service-account-signing-key-file", help="key that signs them; none: one made in --cert-dir"),
        Flag("service-cluster-ip-range", default="10.96.0.0/16", help="addresses of Services"),
        Flag("service-node-port-range", default="30000-32767", help="ports of NodePort Services")),
)

_ETCD = "etcd is not a store of kubewheel; see --storage-path"
_AUDIT = "auditing is not in kubewheel"
_OIDC = "tokens of OpenID providers are not taken"
_WEBHOOK = "authorization and authentication webhooks are not asked"
ABSENT = common.absent(
    *common.SERVING_ABSENT, *common.COMMON_ABSENT,
    (_ETCD, "etcd-cafile etcd-certfile etcd-keyfile etcd-prefix etcd-servers-overrides lease-reuse-duration-seconds"),
    ("what is stored is JSON", "storage-media-type"),
    ("encryption at rest is not in kubewheel", "encryption-provider-config encryption-provider-config-automatic-reload"),
    (_AUDIT, """audit-policy-file audit-log-batch-buffer-size audit-log-batch-max-size audit-log-batch-max-wait
        audit-log-batch-throttle-burst audit-log-batch-throttle-enable audit-log-batch-throttle-qps audit-log-compress
        audit-log-format audit-log-maxage audit-log-maxbackup audit-log-maxsize audit-log-mode audit-log-path
        audit-log-truncate-enabled audit-log-truncate-max-batch-size audit-log-truncate-max-event-size audit-log-version
        audit-webhook-batch-buffer-size audit-webhook-batch-max-size audit-webhook-batch-max-wait
        audit-webhook-batch-throttle-burst audit-webhook-batch-throttle-enable audit-webhook-batch-throttle-qps
        audit-webhook-config-file audit-webhook-initial-backoff audit-webhook-mode audit-webhook-truncate-enabled
        audit-webhook-truncate-max-batch-size audit-webhook-truncate-max-event-size audit-webhook-version"""),
    (_OIDC, """oidc-issuer-url oidc-client-id oidc-ca-file oidc-username-claim oidc-username-prefix oidc-groups-claim
        oidc-groups-prefix oidc-required-claim oidc-signing-algs authentication-config"""),
    (_WEBHOOK, """authentication-token-webhook-config-file authentication-token-webhook-cache-ttl
        authentication-token-webhook-version authorization-config authorization-webhook-config-file
        authorization-webhook-version authorization-webhook-cache-authorized-ttl
        authorization-webhook-cache-unauthorized-ttl"""),
    ("ABAC is not in kubewheel", "authorization-policy-file"),
    ("tokens are signed by a key file", "service-account-signing-endpoint"),
    ("admission plugins are not configured by file", "admission-control-config-file"),
    ("use --enable-admission-plugins", "admission-control"),
    ("these defaults are fixed at 300", "default-not-ready-toleration-seconds default-unreachable-toleration-seconds"),
    ("browsers of other origins are not let in", "cors-allowed-origins"),
    ("no such header is sent", "strict-transport-security-directives"),
    ("there are no tunnels to nodes", "egress-selector-config-file"),
    ("there are no traces", "tracing-config-file"),
    ("API servers of kubewheel do not proxy to each other", "peer-ca-file peer-advertise-ip peer-advertise-port"),
    ("requests are limited by --max-requests-inflight", "enable-priority-and-fairness"),
    ("connections are ended at once, watches first", "shutdown-send-retry-after shutdown-watch-termination-grace-period"),
    ("streams are not throttled", "max-connection-bytes-per-sec"),
    ("the log files of the host are not served", "enable-logs-handler"),
    ("profiles are served over HTTPS, see --profiling", "debug-socket-path"),
    ("one API server runs on a store", "apiserver-count identity-lease-duration-seconds "
     "identity-lease-renew-interval-seconds"),
    ("leaders elect themselves", "coordinated-leadership-lease-duration coordinated-leadership-renew-deadline "
     "coordinated-leadership-retry-period"),
    ("one version is spoken", "runtime-config-emulation-forward-compatible"),
    ("there are no cloud providers", "cloud-provider cloud-config"),
    ("nodes tell their port", "kubelet-port"))
