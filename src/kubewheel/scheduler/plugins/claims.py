"""What the volume plugins share: the claims of a pod, and the classes and volumes behind them.

In: a PodInfo, Objects. Out: claims, volumes, drivers. Called by: the volume plugins.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from kubewheel.api.resource import Object
from kubewheel.scheduler.plugins.base import Objects
from kubewheel.scheduler.podinfo import PodInfo

NO_PROVISIONER = "kubernetes.io/no-provisioner"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@lru_cache(maxsize=4096)
def volume(text: bytes) -> Any:
    """One volume of a pod's shape. Shared: read only."""
    return orjson.loads(text)


def claim_names(pod: PodInfo) -> Iterator[tuple[str, bool]]:
    """(claim name, made for this pod by the ephemeral volume controller)."""
    for text in pod.shape.volumes:
        json = volume(text)
        if claim := json.get("persistentVolumeClaim"):
            yield claim["claimName"], False
        elif "ephemeral" in json:
            yield f"{pod.name}-{json['name']}", True


def has_claims(pod: PodInfo) -> bool:
    return bool(pod.shape.volumes) and next(claim_names(pod), None) is not None


def bound_volumes(pod: PodInfo, objects: Objects) -> Iterator[Object]:
    for name, _ in claim_names(pod):
        claim = objects.get("persistentvolumeclaims", pod.namespace, name)
        bound_to = (claim or {}).get("spec", {}).get("volumeName")
        if bound_to and (found := objects.get("persistentvolumes", None, bound_to)) is not None:
            yield found


def storage_class(claim: Object, objects: Objects) -> Object | None:
    name = claim["spec"].get("storageClassName")
    return objects.get("storageclasses.storage.k8s.io", None, name) if name else None


def is_late(claim: Object, objects: Objects) -> bool:
    """WaitForFirstConsumer: bound only once a pod has a node."""
    found = storage_class(claim, objects)
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"
