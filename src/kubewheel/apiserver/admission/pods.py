"""What several plugins ask of pods. Pure. Called by: the plugins of this folder."""

from __future__ import annotations

from collections.abc import Iterator

from kubewheel.api.resource import Object
from kubewheel.apiserver.attributes import Attributes

MIRROR = "kubernetes.io/config.mirror"


def is_pod(attributes: Attributes) -> bool:
    resource = attributes.resource
    return resource.plural == "pods" and not resource.group


def is_pod_create(attributes: Attributes) -> bool:
    return is_pod(attributes) and attributes.operation == "CREATE" and not attributes.subresource \
        and attributes.obj is not None


def containers(spec: Object, *, init: bool = True, ephemeral: bool = False) -> Iterator[Object]:
    if init:
        yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
    if ephemeral:
        yield from spec.get("ephemeralContainers") or ()


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})
