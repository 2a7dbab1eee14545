"""Applies the add-ons by server-side apply, and waits for their Deployments.

In: a Client and the add-ons' objects. Out: objects in the cluster. It holds nothing but a Client. Called by: cli/up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from kubewheel.client.client import Client

RESOURCES = {
    "ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps", "Service": "services",
    "Deployment": "deployments.apps", "DaemonSet": "daemonsets.apps",
    "ClusterRole": "clusterroles.rbac.authorization.k8s.io",
    "ClusterRoleBinding": "clusterrolebindings.rbac.authorization.k8s.io",
    "Role": "roles.rbac.authorization.k8s.io", "RoleBinding": "rolebindings.rbac.authorization.k8s.io"}


async def apply(client: Client, objects: Iterable[dict[str, Any]]) -> None:
    """In order. Fields that somebody else has taken over since are taken back: the add-ons are the cluster's."""
    for obj in objects:
        await client.apply(RESOURCES[obj["kind"]], obj, force=True)


def is_available(deployment: dict[str, Any]) -> bool:
    """The newest template is out and every replica answers."""
    status = deployment.get("status", {})
    wanted = deployment["spec"].get("replicas", 1)
    return (status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
            and status.get("updatedReplicas", 0) >= wanted and status.get("availableReplicas", 0) >= wanted)


async def wait_available(client: Client, objects: Iterable[dict[str, Any]]) -> None:
    """For ever: the caller sets the time limit."""
    for obj in objects:
        if obj["kind"] != "Deployment":
            continue
        meta = obj["metadata"]
        while True:
            if is_available(await client.get("deployments.apps", meta["name"], namespace=meta["namespace"])):
                break
            await asyncio.sleep(0.1)
