"""PodSandboxConfig of a pod.

In: pod, options, attempt. Out: the CRI dict. Pure. Called by: pod_worker.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.kubelet import cri, observed
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime import names, resources, security

Object = dict[str, Any]


def pod_labels(pod: Object) -> dict[str, str]:
    meta = pod["metadata"]
    return dict(meta.get("labels") or {}) | {
        observed.POD_NAME: meta["name"], observed.POD_NAMESPACE: meta["namespace"], observed.POD_UID: meta["uid"]}


def config(pod: Object, options: Options, *, attempt: int, cgroup_parent: str, resolv_conf: str) -> Object:
    meta = pod["metadata"]
    sysctls = {s["name"]: s["value"] for s in (pod["spec"].get("securityContext") or {}).get("sysctls") or ()}
    totals = resources.pod_totals(pod)
    return {
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"], "attempt": attempt},
        "hostname": names.sandbox_hostname(pod, options),
        "log_directory": options.log_dir(meta["namespace"], meta["name"], meta["uid"]),
        "dns_config": names.dns_config(pod, options, resolv_conf),
        "port_mappings": _ports(pod),
        "labels": pod_labels(pod),
        "annotations": dict(meta.get("annotations") or {}) | {
            "kubernetes.io/config.source": (meta.get("annotations") or {}).get("kubernetes.io/config.source", "api")},
        "linux": {"cgroup_parent": cgroup_parent, "security_context": security.sandbox_context(pod, options),
                  "sysctls": sysctls,
                  "resources": {"cpu_shares": resources.shares(totals["cpu_request"]), "cpu_period": resources.PERIOD,
                                "cpu_quota": resources.quota(totals["cpu_limit"]),
                                "memory_limit_in_bytes": totals["memory_limit"]}},
    }


def _ports(pod: Object) -> list[Object]:
    if pod["spec"].get("hostNetwork"):
        return []  # the containers are on the host's ports already
    everyone = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    return [{"protocol": cri.PROTOCOL[p.get("protocol") or "TCP"], "container_port": p["containerPort"],
             "host_port": p.get("hostPort", 0), "host_ip": p.get("hostIP", "")}
            for c in everyone for p in c.get("ports") or ()]
