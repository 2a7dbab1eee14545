"""Flags of kube-proxy. Called by: component_flags."""

from __future__ import annotations

from kubewheel.cli.component_flags import common
from kubewheel.cli.flags import Flag, grouped, without_effect

FLAGS = (
    *grouped(
        "Generic",
        Flag("kubeconfig", help="path to the kubeconfig of the API server; none: the pod's service account"),
        Flag("master", help="address of the API server, overrides the kubeconfig's"),
        *without_effect(Flag("kube-api-qps", "float", 5.0), Flag("kube-api-burst", "int", 10)), *common.CLIENT_LIMITS),
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
            Flag("bind-address", default="0.0.0.0"), Flag("config-sync-period", "duration", "15m0s"),
            Flag("conntrack-max-per-core", "int", 32768), Flag("conntrack-min", "int", 131072),
            Flag("conntrack-tcp-timeout-established", "duration", "24h"),
            Flag("conntrack-tcp-timeout-close-wait", "duration", "1h"))),
    *grouped("Features", common.GATES, common.PROFILING),
    *common.LOG_FLAGS,
)

ABSENT = common.absent(
    *common.COMMON_ABSENT,
    ("rules are nftables'", """masquerade-all iptables-masquerade-bit iptables-sync-period iptables-min-sync-period
        iptables-localhost-nodeports ipvs-scheduler ipvs-strict-arp ipvs-sync-period ipvs-min-sync-period
        ipvs-exclude-cidrs ipvs-tcp-timeout ipvs-tcpfin-timeout ipvs-udp-timeout"""),
    ("node ports are open on the node's addresses", "nodeport-addresses"),
    ("the configuration is read, not written", "write-config-to"),
    ("local traffic is known by --cluster-cidr", "detect-local-mode pod-bridge-interface pod-interface-name-prefix"),
    ("connection tracking is the kernel's", "conntrack-tcp-be-liberal conntrack-udp-timeout conntrack-udp-timeout-stream"),
    ("a port that is taken is an error", "bind-address-hard-fail"),
    ("the proxy runs for ever", "init-only"),
    ("the process has its own priority", "oom-score-adj"))
