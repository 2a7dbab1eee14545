"""Nodes and pods for tests, in one line each."""

import random

from kubewheel.scheduler.plugins.base import Handle, NoObjects
from kubewheel.scheduler.podinfo import podinfo
from kubewheel.scheduler.profile import load
from kubewheel.scheduler.table import Table


def node(name, *, cpu="4", memory="8Gi", pods="110", labels=None, taints=(), unschedulable=False, images=(), **more):
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
            "spec": {"taints": list(taints), "unschedulable": unschedulable},
            "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **more}, "images": list(images)}}


def pod(name, *, cpu=None, memory=None, labels=None, node="", priority=0, requests=None, namespace="default", ports=(),
        **spec):
    asked = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v} | (requests or {})
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels or {}},
            "spec": {"containers": [{"name": "c", "image": spec.pop("image", "i"), "resources": {"requests": asked},
                                     "ports": list(ports)}],
                     "priority": priority, **({"nodeName": node} if node else {}), **spec}}


def table(nodes, pods=()):
    made = Table()
    made.set_namespace("default", {"kubernetes.io/metadata.name": "default"})
    for n in nodes:
        made.set_node(n)
    for p in pods:
        info = podinfo(p)
        made.add_pod(info, info.node)
    return made


def profile(config=None, objects=None):
    return next(iter(load(config, Handle(objects or NoObjects())).profiles.values()))


def decide(the_pod, nodes, pods=(), config=None, objects=None, seed=0):
    return profile(config, objects).decider.decide(podinfo(the_pod), table(nodes, pods), random.Random(seed))
