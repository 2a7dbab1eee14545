"""The objects benchmarks write. Pure."""

from __future__ import annotations

from typing import Any


def pod_spec() -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": "example/web:1", "ports": [{"containerPort": 80}],
                            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}],
            "automountServiceAccountToken": False}


def pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": pod_spec(),
            "metadata": {"name": name, "namespace": "default", "labels": {"app": "bench"}}}


def deployment(name: str, replicas: int) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}}, "spec": pod_spec()}}}
