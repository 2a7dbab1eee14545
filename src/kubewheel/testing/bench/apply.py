"""Server-side apply of a 3 KB Deployment: first with one changed field each time, then with nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import uvloop

from kubewheel.testing.bench import child, load
from kubewheel.testing.bench.figures import Aim, Figure

THERE = 100  # more than connections, so that no two apply the same object at once
PATH = "/apis/apps/v1/namespaces/default/deployments"


def container(name: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 2}
    return {"name": name, "image": f"registry.example/{name}:1.2.3", "args": ["--verbose", f"--name={name}"],
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
            "env": [{"name": f"SETTING_{i}", "value": f"value of setting {i}"} for i in range(10)],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            "livenessProbe": probe, "readinessProbe": probe,
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config", "readOnly": True},
                             {"name": "data", "mountPath": "/var/lib/data"}]}


def deployment(name: str, turn: int) -> dict[str, Any]:
    """3 KB of JSON, of the kind a chart renders."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "bench", "app.kubernetes.io/version": "1"}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels,
                         "annotations": {"example.com/turn": str(turn)}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
                     "template": {"metadata": {"labels": labels}, "spec": {
                         "containers": [container("web"), container("sidecar")],
                         "volumes": [{"name": "config", "configMap": {"name": "config"}},
                                     {"name": "data", "emptyDir": {}}]}}}}


def one(number: int, turn: int) -> bytes:
    name = f"d{number % THERE}"
    return load.request("PATCH", f"{PATH}/{name}?fieldManager=bench", deployment(name, turn),
                        content_type="application/apply-patch+yaml")


def run() -> list[Figure]:
    found: list[Figure] = []
    for store in ("memory", "sqlite"):
        numbers = count()

        def changed(n: int, numbers: Iterator[int] = numbers) -> Iterator[bytes]:
            return iter([one(i, i) for i in (next(numbers) for _ in range(n))])

        def same(n: int) -> Iterator[bytes]:
            return iter([one(i, 0) for i in range(n)])

        with child.served(store=store) as server:
            uvloop.run(load.all_of(server, [one(i, 0) for i in range(THERE)]))
            found += load.at_each_width(f"apply 3 KB, a change ({store})", server, 900, changed, aim=Aim(">=", 1000))
            uvloop.run(load.all_of(server, [one(i, 0) for i in range(THERE)]))
            found += load.at_each_width(f"apply 3 KB, no change ({store})", server, 900, same)
    return found
