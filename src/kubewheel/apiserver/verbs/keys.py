"""Store keys. Pure. `/registry/pods/ns/name`, `/registry/minions/name`."""

from __future__ import annotations

from kubewheel.api.resource import Resource
from kubewheel.apiserver.watch_cache import ROOT


def prefix(hub: Resource, namespace: str) -> str:
    if hub.namespaced and namespace:
        return f"{ROOT}{hub.registry}/{namespace}/"
    return f"{ROOT}{hub.registry}/"


def key(hub: Resource, namespace: str, name: str) -> str:
    return prefix(hub, namespace) + name
