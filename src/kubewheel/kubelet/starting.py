"""Starts what a plan says: the sandbox, and single containers.

In: pod, Start. Out: a running container; StartError with the waiting reason. Called by: pod_worker.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from typing import Any

from kubewheel.api import errors
from kubewheel.kubelet import hooks
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.deps import Deps
from kubewheel.kubelet.images import ImageError
from kubewheel.kubelet.observed import Observed
from kubewheel.kubelet.plan import Start
from kubewheel.kubelet.runtime import container as container_config
from kubewheel.kubelet.runtime import env, names
from kubewheel.kubelet.runtime import sandbox as sandbox_config
from kubewheel.kubelet.volumes.volume import MountError

log = logging.getLogger(__name__)

Object = dict[str, Any]

GROUPS = {"init": "initContainers", "container": "containers", "ephemeral": "ephemeralContainers"}


class StartError(Exception):
    """`reason` and `message` are the container's waiting state."""

    def __init__(self, reason: str, message: str, *, retry: float = 10.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry = retry


def make_sandbox_config(deps: Deps, pod: Object, qos: str, attempt: int) -> Object:
    return sandbox_config.config(pod, deps.options, attempt=attempt, resolv_conf=_read(deps.options.resolv_conf),
                                 cgroup_parent=deps.cgroups.parent_of(pod["metadata"]["uid"], qos))


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


async def run_sandbox(deps: Deps, pod: Object, qos: str, attempt: int) -> str:
    """The new sandbox's id. StartError when it cannot be made (event FailedCreatePodSandBox is recorded)."""
    config = make_sandbox_config(deps, pod, qos, attempt)
    await asyncio.to_thread(os.makedirs, config["log_directory"], 0o755, True)
    try:
        handler = await _runtime_handler(deps, pod)
        return await deps.cri.run_sandbox(config, handler=handler)
    except (CriError, StartError) as e:
        deps.events.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {e}")
        raise StartError("ContainerCreating", "", retry=2.0) from e


async def _runtime_handler(deps: Deps, pod: Object) -> str:
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return ""
    found = await deps.client.find("runtimeclasses.node.k8s.io", name)
    if found is None:
        raise StartError("ContainerCreating", f'failed to get sandbox runtime: runtimeclasses.node.k8s.io "{name}" '
                         "not found")
    return found["handler"]


def write_hosts(deps: Deps, pod: Object, ips: list[str]) -> str:
    path = os.path.join(deps.options.pod_dir(pod["metadata"]["uid"]), "etc-hosts")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(names.hosts_file(pod, deps.options, ips=ips, host_file=_read("/etc/hosts")))
    os.chmod(path, 0o644)
    return path


async def start(deps: Deps, pod: Object, qos: str, what: Start, sandbox_id: str, sandbox: Object,
                observed: Observed) -> None:
    """Pulls, configures, creates, starts, runs postStart. StartError says how far it came."""
    container = what.spec
    path = f"spec.{GROUPS[what.kind]}{{{container['name']}}}"

    def fail(reason: str, message: str) -> StartError:
        deps.events.event(pod, "Warning", "Failed", f"Error: {message}", field_path=path)
        return StartError(reason, message)

    try:
        image = await deps.images.ensure(pod, container, sandbox=sandbox, field_path=path)
    except ImageError as e:
        deps.events.event(pod, "Warning", "Failed", f"Error: {e.reason}", field_path=path)
        raise StartError(e.reason, e.message, retry=e.retry) from e
    except CriError as e:
        raise fail("ImageInspectError", str(e)) from e
    try:
        config = await _config(deps, pod, qos, what, image, observed)
    except (env.ConfigError, MountError, OSError) as e:
        raise fail("CreateContainerConfigError", str(e)) from e
    except errors.StatusError as e:
        raise fail("CreateContainerConfigError", e.message) from e
    try:
        container_id = await deps.cri.create_container(sandbox_id, config, sandbox)
    except CriError as e:
        raise fail("CreateContainerError", e.message) from e
    deps.events.event(pod, "Normal", "Created", "Container created", field_path=path)
    try:
        await deps.cri.start_container(container_id)
    except CriError as e:
        raise fail("RunContainerError", e.message) from e
    deps.events.event(pod, "Normal", "Started", "Container started", field_path=path)
    await asyncio.to_thread(_link_log, deps, pod, container["name"], container_id, sandbox["log_directory"],
                            config["log_path"])
    await _post_start(deps, pod, container, container_id, observed, path)


async def _post_start(deps: Deps, pod: Object, container: Object, container_id: str, observed: Observed,
                      path: str) -> None:
    handler = (container.get("lifecycle") or {}).get("postStart")
    if not handler:
        return
    ip = observed.sandbox.ips[0] if observed.sandbox and observed.sandbox.ips else ""
    ip = ip or (deps.node.host_ips[0] if deps.node.host_ips else "127.0.0.1")
    try:
        await hooks.run(handler, container, cri=deps.cri, container_id=container_id, ip=ip)
    except hooks.HookError as e:
        # Not what the hook said: whoever may read events is not for that allowed to see what a container prints.
        log.info("postStart of %s in pod %s failed: %s", container["name"], pod["metadata"]["name"], e)
        deps.events.event(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", field_path=path)
        deps.events.event(pod, "Normal", "Killing", "FailedPostStartHook", field_path=path)
        await deps.cri.stop_container(container_id, pod["spec"].get("terminationGracePeriodSeconds", 30))
        raise StartError("PostStartHookError", f"PostStartHookError: {e}", retry=1.0) from e


def _link_log(deps: Deps, pod: Object, name: str, container_id: str, directory: str, log_path: str) -> None:
    meta = pod["metadata"]
    os.makedirs(deps.options.container_logs_dir, exist_ok=True)
    link = os.path.join(deps.options.container_logs_dir,
                        f"{meta['name']}_{meta['namespace']}_{name}-{container_id}.log")
    if not os.path.lexists(link):
        os.symlink(os.path.join(directory, log_path), link)


async def environment(deps: Deps, pod: Object, container: Object) -> list[tuple[str, str]]:
    """The container's variables, with the objects they come from fetched now."""
    namespace = pod["metadata"]["namespace"]
    found: dict[tuple[str, str], Object | None] = {}
    for kind, name in env.references(pod, container):
        plural = "configmaps" if kind == "ConfigMap" else "secrets"
        found[(kind, name)] = await deps.objects.get(pod["metadata"]["uid"], plural, namespace, name)
    services = deps.services(namespace)
    if pod["spec"].get("enableServiceLinks") is False:
        services = [s for s in services if s["metadata"]["namespace"] == "default"
                    and s["metadata"]["name"] == "kubernetes"]
    else:
        masters = {"kubernetes"}
        services = [s for s in services if s["metadata"]["namespace"] == namespace
                    or s["metadata"]["name"] in masters]
    return env.build(pod, container, services=env.service_env(services), allocatable=deps.node.allocatable,
                     get_object=lambda kind, name: found.get((kind, name)))


async def _config(deps: Deps, pod: Object, qos: str, what: Start, image: Object, observed: Observed) -> Object:
    container = what.spec
    variables = await environment(deps, pod, container)
    mounts = await deps.volumes.container_mounts(pod, container, dict(variables))
    mounts += await asyncio.to_thread(_own_mounts, deps, pod, container, observed)
    target = ""
    if what.kind == "ephemeral" and container.get("targetContainerName"):
        last = observed.latest(container["targetContainerName"])
        target = last.id if last else ""
    uid = image.get("uid")
    return container_config.config(
        pod, container, deps.options, image=image["id"], image_uid=uid["value"] if uid else None,
        image_user=image.get("username", ""), variables=variables, mounts=mounts, devices=[],
        restart_count=what.restart_count, qos=qos, memory_capacity=deps.node.memory_capacity, target_id=target)


def _own_mounts(deps: Deps, pod: Object, container: Object, observed: Observed) -> list[Object]:
    """/etc/hosts (unless the container mounts its own) and the termination log."""
    out = []
    taken = {m["mountPath"].rstrip("/") for m in container.get("volumeMounts") or ()}
    if "/etc/hosts" not in taken:
        ips = list(observed.sandbox.ips) if observed.sandbox else []
        path = write_hosts(deps, pod, ips)
        out.append({"container_path": "/etc/hosts", "host_path": path})
    directory = os.path.join(deps.options.pod_dir(pod["metadata"]["uid"]), "containers", container["name"])
    os.makedirs(directory, exist_ok=True)
    file = os.path.join(directory, secrets.token_hex(4))
    with open(file, "w"):
        os.chmod(file, 0o666)  # whatever user the container runs as writes it
    out.append({"container_path": container.get("terminationMessagePath") or "/dev/termination-log",
                "host_path": file})
    return out
