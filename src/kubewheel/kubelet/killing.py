"""Ends containers and pods: preStop, grace, force; sidecars after the others.

In: pod, observed containers, grace seconds. Out: nothing runs any more. Called by: pod_worker.py, kubelet.py (orphans).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from kubewheel.kubelet import hooks, observed
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.deps import Deps
from kubewheel.kubelet.observed import Container, Observed
from kubewheel.kubelet.plan import is_sidecar

log = logging.getLogger(__name__)

Object = dict[str, Any]
MIN_GRACE = 2  # seconds left for SIGTERM when preStop used up the grace


def grace_of(pod: Object, override: int | None = None) -> int:
    if override is not None:
        return max(override, 0)
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    if deletion is not None:
        return deletion
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return 30 if grace is None else grace


async def kill_container(deps: Deps, pod: Object, container: Container, *, grace: int, message: str,
                         ip: str = "") -> None:
    """Runs preStop within the grace, then stops the container with what is left of it."""
    spec = _spec_of(pod, container.name)
    deps.events.event(pod, "Normal", "Killing", message or f"Stopping container {container.name}",
                      field_path=f"spec.{_group(pod, container.name)}{{{container.name}}}")
    loop = asyncio.get_running_loop()
    began = loop.time()
    handler = ((spec or {}).get("lifecycle") or {}).get("preStop")
    if spec is None and container.annotations.get(observed.PRE_STOP):
        handler = json.loads(container.annotations[observed.PRE_STOP])
    left = grace
    if handler and grace > 0 and container.state == "running":
        await _pre_stop(deps, pod, spec or {"name": container.name}, container, handler, grace, ip)
        left = max(int(grace - (loop.time() - began)), MIN_GRACE)
    try:
        await deps.cri.stop_container(container.id, left)
    except CriError as e:
        if not e.is_not_found:
            raise


async def _pre_stop(deps: Deps, pod: Object, spec: Object, container: Container, handler: Object, grace: int,
                    ip: str) -> None:
    try:
        async with asyncio.timeout(grace):
            await hooks.run(handler, spec, cri=deps.cri, container_id=container.id, ip=ip)
    except TimeoutError:
        log.info("preStop of %s in pod %s took longer than its grace of %ss", container.name,
                 pod["metadata"]["name"], grace)
    except (hooks.HookError, CriError) as e:
        log.info("preStop of %s in pod %s failed: %s", container.name, pod["metadata"]["name"], e)
        deps.events.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed",
                          field_path=f"spec.{_group(pod, container.name)}{{{container.name}}}")


async def kill_pod(deps: Deps, pod: Object, now: Observed, *, grace: int) -> None:
    """Every container (sidecars last, in reverse order), then the sandboxes."""
    ip = now.sandbox.ips[0] if now.sandbox and now.sandbox.ips else ""
    if not ip and deps.node.host_ips:
        ip = deps.node.host_ips[0]
    sidecars = [c["name"] for c in pod["spec"].get("initContainers") or () if is_sidecar(c)]
    alive = [c for c in now.containers if c.state in ("running", "created", "unknown")]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(kill_container(deps, pod, c, grace=grace, message="", ip=ip)
                           for c in alive if c.name not in sidecars))
    for name in reversed(sidecars):
        used = int(asyncio.get_running_loop().time() - began)
        for container in [c for c in alive if c.name == name]:
            await kill_container(deps, pod, container, grace=max(grace - used, MIN_GRACE if grace else 0),
                                 message="", ip=ip)
    for sandbox in now.sandboxes:
        try:
            await deps.cri.stop_sandbox(sandbox.id)
        except CriError as e:
            if not e.is_not_found:
                raise


async def remove_pod(deps: Deps, now: Observed) -> None:
    """The runtime's records of a pod whose object is gone."""
    for container in now.containers:
        await _quietly(deps.cri.remove_container(container.id))
    for sandbox in now.sandboxes:
        await _quietly(deps.cri.remove_sandbox(sandbox.id))


async def _quietly(call: Any) -> None:
    try:
        await call
    except CriError as e:
        if not e.is_not_found:
            raise


def _spec_of(pod: Object, name: str) -> Object | None:
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod["spec"].get(group) or ():
            if container["name"] == name:
                return container
    return None


def _group(pod: Object, name: str) -> str:
    for group in ("initContainers", "ephemeralContainers"):
        if any(c["name"] == name for c in pod["spec"].get(group) or ()):
            return group
    return "containers"
