"""Protobuf: the codec by itself, GET and CREATE of a pod, LIST of 5,000 pods for the first and for every later time,
with the same LIST in JSON and as a Table beside it."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from itertools import repeat
from typing import Any

import uvloop

from kubewheel.api import codec
from kubewheel.api.protobuf import codec as protobuf
from kubewheel.testing.bench import child, load, objects, processes
from kubewheel.testing.bench.figures import Aim, Figure, percentile
from kubewheel.testing.bench.get import PODS

COUNT = 5000
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
POD = "io.k8s.api.core.v1.Pod"


def run() -> list[Figure]:
    found = _codec()
    with child.served() as server:
        uvloop.run(load.all_of(server, [_create("one")], connections=1))
        asked = load.request("GET", f"{PODS}/one", accept=PROTOBUF)
        found += load.at_each_width("GET pod (protobuf)", server, 6000, lambda n: repeat(asked, n), aim=Aim(">=", 10_000))
    with child.served() as server:
        began = time.perf_counter()
        uvloop.run(load.all_of(server, [_create(f"p{i}") for i in range(COUNT)]))
        found.append(Figure("CREATE pod (protobuf), 16 conn", COUNT / (time.perf_counter() - began), "req/s"))
        for title, accept in (("protobuf, first", PROTOBUF), ("protobuf", PROTOBUF), ("JSON", "application/json"),
                              ("Table", TABLE),
                              ("PartialObjectMetadata, protobuf", f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1")):
            found.append(_list(server, title, accept))
    return found


def _create(name: str) -> bytes:
    return load.request("POST", PODS, protobuf.encode(full(name), POD), accept=PROTOBUF, content_type=PROTOBUF)


def full(name: str) -> dict[str, Any]:
    """A pod of about 3 KB of JSON, as a scheduled one looks."""
    pod = objects.pod(name)
    times = {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    pod["spec"] |= {
        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler", "enableServiceLinks": True,
        "tolerations": [{"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute",
                         "tolerationSeconds": 300} for why in ("not-ready", "unreachable")],
        "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}}]}
    pod["spec"]["containers"][0] |= {
        "env": [{"name": f"VARIABLE_{i}", "value": f"the value of number {i}"} for i in range(8)],
        "volumeMounts": [{"name": "token", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"}, "timeoutSeconds": 1,
                           "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}}
    pod["metadata"]["annotations"] = {f"example.com/annotation-{i}": f"what is said by number {i}" for i in range(8)}
    pod["status"] = {"phase": "Pending", "qosClass": "Burstable", "conditions": [
        {"type": t, "status": "True", **times} for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]}
    return pod


# -- the codec ------------------------------------------------------------------------------------------------------------
def _codec() -> list[Figure]:
    pod = full("one")
    raw, plain = protobuf.encode(pod, POD), codec.dumps(pod)
    note = f"{len(plain)} bytes of JSON, {len(raw)} of protobuf"
    return [Figure("pod to protobuf", _micros(lambda: protobuf.encode(pod, POD)), "µs", aim=Aim("<", 60), note=note),
            Figure("pod from protobuf", _micros(lambda: protobuf.decode(raw)), "µs", aim=Aim("<", 60), note=note),
            Figure("pod from JSON", _micros(lambda: codec.loads(plain)), "µs", note="orjson, to compare")]


def _micros(one: Callable[[], Any]) -> float:
    """The least of many short runs: neighbours only add."""
    return min(timeit.repeat(one, number=20, repeat=300)) / 20 * 1e6


# -- LIST -------------------------------------------------------------------------------------------------------------------
def _list(server: child.Served, title: str, accept: str) -> Figure:
    asked = load.request("GET", PODS, accept=accept)
    cpu = processes.cpu_seconds(server.pid)
    if title.endswith("first"):
        began = time.perf_counter()
        uvloop.run(load.all_of(server, [asked], connections=1))
        seconds, count = [time.perf_counter() - began], 1
    else:
        _, seconds = uvloop.run(load.throughput(server, 10, lambda n: repeat(asked, n), connections=1))
        count = len(seconds) + 2
    used = (processes.cpu_seconds(server.pid) - cpu) / count * 1e3
    aim = None if title.endswith("first") else Aim("<", 50)
    return Figure(f"LIST 5,000 pods ({title})", used, "ms CPU", p50=percentile(seconds, 50) * 1e3,
                  p99=percentile(seconds, 99) * 1e3, aim=aim, note="server time a request")
