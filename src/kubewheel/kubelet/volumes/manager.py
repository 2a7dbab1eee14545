"""The volumes of all pods: mounts what a pod needs, keeps it up to date, takes it away at the end.

In: pods. Out: host paths and CRI mounts; MountError naming the volume. Called by: pod_worker.py.
Nothing is remembered that a restart would lose: what is mounted is read from the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
from typing import Any

from kubewheel.api import errors
from kubewheel.client.client import Client
from kubewheel.kubelet import cri
from kubewheel.kubelet.objects import WatchedObjects
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.runtime import env
from kubewheel.kubelet.volumes import BY_SOURCE, mounts
from kubewheel.kubelet.volumes.tokens import Tokens
from kubewheel.kubelet.volumes.volume import MountError, Request
from kubewheel.lib.clock import Clock

Object = dict[str, Any]
WATCHED = ("configmaps", "secrets")


class Volumes:
    def __init__(self, client: Client, options: Options, clock: Clock, rng: random.Random,
                 objects: WatchedObjects) -> None:
        self._client = client
        self._objects = objects
        self._options = options
        self._clock = clock
        self._random = rng
        self._tokens = Tokens(client, clock, rng)
        self._paths: dict[str, dict[str, str]] = {}  # uid -> volume name -> host path
        self.allocatable: Object = {}

    async def mount_all(self, pod: Object) -> None:
        """Every volume of the pod that a container uses. MountError carries upstream's event text."""
        paths = self._paths.setdefault(pod["metadata"]["uid"], {})
        for volume in pod["spec"].get("volumes") or ():
            paths[volume["name"]] = await self._mount(pod, volume)

    async def refresh(self, pod: Object) -> None:
        """Brings the volumes that follow API objects up to date."""
        for volume in pod["spec"].get("volumes") or ():
            plugin, _ = self._plugin(volume)
            if plugin is not None and plugin.REFRESHED:
                await self._mount(pod, volume)

    def is_mounted(self, pod: Object) -> bool:
        names = {v["name"] for v in pod["spec"].get("volumes") or ()}
        return names <= self._paths.get(pod["metadata"]["uid"], {}).keys()

    def needs_refresh(self, pod: Object) -> bool:
        return any((p := self._plugin(v)[0]) is not None and p.REFRESHED for v in pod["spec"].get("volumes") or ())

    async def unmount_all(self, uid: str) -> None:
        """Takes away every mount below the pod's directory, and what the volumes held. OSError if one stays."""
        self._paths.pop(uid, None)
        self._tokens.forget(uid)
        self._objects.forget(uid)
        await asyncio.to_thread(_remove_volumes, self._options.pod_dir(uid))

    async def remove_dir(self, uid: str) -> None:
        """The pod's directory, once its object is gone (termination logs stay readable until then)."""
        await asyncio.to_thread(_remove_volumes, self._options.pod_dir(uid))
        await asyncio.to_thread(shutil.rmtree, self._options.pod_dir(uid), True)

    def pod_uids(self) -> set[str]:
        """Pods that have a directory on this node."""
        base = os.path.join(self._options.root_dir, "pods")
        return set(os.listdir(base)) if os.path.isdir(base) else set()

    async def container_mounts(self, pod: Object, container: Object, variables: dict[str, str]) -> list[Object]:
        """CRI mounts of the container's volumeMounts. MountError for a bad subPath."""
        paths = self._paths.get(pod["metadata"]["uid"], {})
        by_name = {v["name"]: v for v in pod["spec"].get("volumes") or ()}
        out = []
        for index, mount in enumerate(container.get("volumeMounts") or ()):
            volume = by_name[mount["name"]]
            host = paths[mount["name"]]
            sub = mount.get("subPath") or ""
            if mount.get("subPathExpr"):
                sub = _expand_sub_path(mount["subPathExpr"], variables)
            if sub:
                target = os.path.join(self._options.pod_dir(pod["metadata"]["uid"]), "volume-subpaths",
                                      mount["name"], container["name"], str(index))
                host = await asyncio.to_thread(_bind_sub_path, host, sub, target)
            plugin, source = self._plugin(volume)
            read_only = bool(mount.get("readOnly") or (plugin and plugin.READ_ONLY) or source.get("readOnly"))
            path = mount["mountPath"]
            out.append({"container_path": path if path.startswith("/") else "/" + path, "host_path": host,
                        "readonly": read_only,
                        "propagation": cri.PROPAGATION[mount.get("mountPropagation") or ""]})
        return out

    @staticmethod
    def _plugin(volume: Object) -> tuple[Any, Object]:
        for key, source in volume.items():
            if key in BY_SOURCE:
                return BY_SOURCE[key], source or {}
        if volume.keys() == {"name"}:
            return BY_SOURCE["emptyDir"], {}
        return None, {}

    async def _mount(self, pod: Object, volume: Object) -> str:
        plugin, source = self._plugin(volume)
        name = volume["name"]
        if plugin is None:
            kind = ", ".join(sorted(volume.keys() - {"name"}))
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : no volume plugin matched: '
                             f"{kind} volumes are not supported by this kubelet")
        uid = pod["metadata"]["uid"]
        directory = self._options.volume_dir(uid, plugin.DIRECTORY, name) if plugin.DIRECTORY else ""

        async def token(audience: str, seconds: int) -> str:
            return await self._tokens.get(pod, audience, seconds)

        async def fetch(resource: str, name: str, namespace: str | None) -> Object | None:
            if resource in WATCHED and namespace:
                return await self._objects.get(uid, resource, namespace, name)
            return await self._client.find(resource, name, namespace=namespace)

        request = Request(pod=pod, volume=volume, source=source, directory=directory, options=self._options,
                          clock=self._clock, random=self._random, allocatable=self.allocatable, fetch=fetch,
                          token=token)
        try:
            return await plugin.mount(request)
        except (MountError, OSError, errors.StatusError) as e:
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : {e}') from e


def _expand_sub_path(text: str, variables: dict[str, str]) -> str:
    out = env.expand(text, {k: v for k, v in variables.items() if v})  # an empty value is a missing one here
    if missing := re.search(r"\$\(([^)]*)\)", out):
        raise env.ConfigError(f'missing value for "{missing[1]}"')
    if out.startswith("/") or ".." in out.split("/"):
        raise env.ConfigError("failed to prepare subPath for volumeMount: subPathExpr must be a relative path "
                              "without '..'")
    return out


def _bind_sub_path(volume: str, sub: str, target: str) -> str:
    """Binds volume/sub to target. The way there is walked by file descriptors that follow no links, so that nothing a
    container swaps meanwhile can lead out of the volume (CVE-2017-1002101)."""
    base = os.path.realpath(volume)
    wanted = os.path.realpath(os.path.join(base, sub))
    if wanted != base and not wanted.startswith(base.rstrip("/") + "/"):
        raise MountError(f'failed to prepare subPath for volumeMount: subpath "{sub}" not within volume path')
    if not os.path.exists(wanted):
        os.makedirs(wanted, mode=0o750)
        shutil.copymode(base, wanted)
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.ExitStack() as open_fds:
        fd = os.open(base, flags)
        open_fds.callback(os.close, fd)
        for part in [p for p in os.path.relpath(wanted, base).split("/") if p != "."]:
            fd = os.open(part, flags, dir_fd=fd)
            open_fds.callback(os.close, fd)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        for point in mounts.mounted_below(target):
            mounts.unmount(point)
        if os.path.isdir(wanted):
            os.makedirs(target, exist_ok=True)
        else:
            with open(target, "a"):
                pass  # a mount point for a file is a file
        mounts.bind(f"/proc/self/fd/{fd}", target)
    return target


def _remove_volumes(path: str) -> None:
    for point in mounts.mounted_below(path):
        mounts.unmount(point)
    if mounts.mounted_below(path):
        raise OSError(f"still mounted below {path}")
    for name in ("volumes", "volume-subpaths"):
        directory = os.path.join(path, name)
        if os.path.isdir(directory):
            shutil.rmtree(directory)
