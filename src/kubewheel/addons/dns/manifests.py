"""Cluster DNS as objects, under upstream's names (Deployment `coredns`, Service `kube-dns`).

In: the image, the Service's address, the domain. Out: objects in applying order. Called by: addons/manager.
"""

from __future__ import annotations

from typing import Any

NAMESPACE = "kube-system"
LABELS = {"k8s-app": "kube-dns"}

Object = dict[str, Any]


def objects(*, image: str, cluster_ip: str, domain: str = "cluster.local", replicas: int = 1) -> list[Object]:
    return [_service_account(), _cluster_role(), _cluster_role_binding(), _service(cluster_ip),
            _deployment(image, domain, replicas)]


def _meta(name: str, **more: Any) -> Object:
    return {"name": name, "namespace": NAMESPACE, "labels": dict(LABELS), **more}


def _service_account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns", "namespace": NAMESPACE}}


def _cluster_role() -> Object:
    look = ["list", "watch"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": look},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look}]}


def _cluster_role_binding() -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": NAMESPACE}]}


def _service(cluster_ip: str) -> Object:
    meta = _meta("kube-dns", annotations={"prometheus.io/port": "9153", "prometheus.io/scrape": "true"})
    meta["labels"] |= {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"clusterIP": cluster_ip, "selector": dict(LABELS), "ports": [
            {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
            {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"}]}}


def _deployment(image: str, domain: str, replicas: int) -> Object:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta("coredns"),
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "selector": {"matchLabels": dict(LABELS)},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod(image, domain)}}}


def _pod(image: str, domain: str) -> Object:
    return {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
        "containers": [{
            "name": "coredns", "image": image, "imagePullPolicy": "IfNotPresent",
            "args": ["dns", "--domain", domain],
            "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
            "ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"},
                      {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                      {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
                      {"name": "liveness-probe", "containerPort": 8080, "protocol": "TCP"},
                      {"name": "readiness-probe", "containerPort": 8181, "protocol": "TCP"}],
            "livenessProbe": {"httpGet": {"path": "/health", "port": "liveness-probe", "scheme": "HTTP"},
                              "initialDelaySeconds": 60, "timeoutSeconds": 5, "successThreshold": 1,
                              "failureThreshold": 5},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "readiness-probe", "scheme": "HTTP"},
                               "periodSeconds": 2},
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}}]}
