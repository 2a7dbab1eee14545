"""Host names and DNS of a pod: hostname, fully qualified name, resolv.conf, /etc/hosts.

In: pod, options, host files' texts. Out: values and texts. Pure. Called by: runtime/sandbox.py, pod_worker.py.
"""

from __future__ import annotations

import socket
from typing import Any

from kubewheel.kubelet.options import Options

Object = dict[str, Any]

MAX_SERVERS = 3


def hostname_and_domain(pod: Object, options: Options) -> tuple[str, str]:
    """("web-0", "web-0.web.ns.svc.cluster.local" or "")."""
    spec = pod["spec"]
    if spec.get("hostnameOverride"):
        return spec["hostnameOverride"], ""
    hostname = spec.get("hostname") or pod["metadata"]["name"]
    hostname = hostname[:63].rstrip("-.")
    domain = ""
    if spec.get("subdomain"):
        domain = f"{hostname}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc.{options.cluster_domain}"
    return hostname, domain


def sandbox_hostname(pod: Object, options: Options) -> str:
    if pod["spec"].get("hostNetwork") and not pod["spec"].get("hostnameOverride"):
        return ""  # the runtime then takes the node's
    hostname, domain = hostname_and_domain(pod, options)
    if pod["spec"].get("setHostnameAsFQDN") and domain:
        return domain
    return hostname


def parse_resolv_conf(text: str) -> tuple[list[str], list[str], list[str]]:
    """(nameservers, searches, options)."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if not words:
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] == "search":
            searches = [w.rstrip(".") or "." for w in words[1:]]
        elif words[0] == "options":
            options = words[1:]
    return servers, searches, options


def dns_config(pod: Object, options: Options, resolv_conf: str) -> Object:
    """CRI DNSConfig by dnsPolicy (ClusterFirst, ClusterFirstWithHostNet, Default, None) and dnsConfig."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    servers, searches, opts = parse_resolv_conf(resolv_conf)
    cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))
    if policy == "None":
        servers, searches, opts = [], [], []
    elif cluster and options.cluster_dns:
        domain = options.cluster_domain
        namespace = pod["metadata"]["namespace"]
        cluster_searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain] if domain else []
        servers, searches, opts = list(options.cluster_dns), [*cluster_searches, *searches], ["ndots:5"]
    extra = spec.get("dnsConfig") or {}
    servers = _unique([*servers, *(extra.get("nameservers") or ())])
    searches = _unique([*searches, *(extra.get("searches") or ())])
    return {"servers": servers[:MAX_SERVERS], "searches": searches,
            "options": _merge_options(opts, extra.get("options") or ())}


def _unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _merge_options(base: list[str], extra: Any) -> list[str]:
    merged = {text.partition(":")[0]: text for text in base}
    for option in extra:
        name, value = option.get("name", ""), option.get("value")
        merged[name] = f"{name}:{value}" if value else name
    return list(merged.values())


def hosts_file(pod: Object, options: Options, *, ips: list[str], host_file: str) -> str:
    """/etc/hosts as upstream writes it. `host_file` is the node's own, used with hostNetwork."""
    aliases = pod["spec"].get("hostAliases") or ()
    if pod["spec"].get("hostNetwork"):
        text = "# Kubernetes-managed hosts file (host network).\n" + host_file
    else:
        hostname, domain = hostname_and_domain(pod, options)
        text = ("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
                "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
                "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
        names = f"{domain}\t{hostname}" if domain else hostname
        text += "".join(f"{ip}\t{names}\n" for ip in ips)
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join([a["ip"], *(a.get("hostnames") or ())]) + "\n" for a in aliases)
    return text


def node_hostname(options: Options) -> str:
    return (options.hostname_override or socket.gethostname()).strip().lower()
