"""What configMap, secret, downwardAPI and projected volumes share: choosing keys, writing the files."""

from __future__ import annotations

import os

from kubewheel.kubelet.volumes import atomic, mounts
from kubewheel.kubelet.volumes.volume import MountError, Object, Request


def select(data: dict[str, bytes], source: Object, mode: int, *, what: str) -> atomic.Payload:
    """All keys, or those of `items` under their paths and modes."""
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    out: atomic.Payload = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise MountError(f"{what}: {item['key']}")
        out[safe_path(item["path"])] = (data[item["key"]], mode if item.get("mode") is None else item["mode"])
    return out


def safe_path(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise MountError(f"invalid path {path}: must be relative and may not contain '..'")
    return os.path.normpath(path)


def write(request: Request, files: atomic.Payload, *, in_memory: bool, users: dict[str, int] | None = None) -> None:
    path = request.directory
    os.makedirs(path, exist_ok=True)
    if in_memory and not mounts.is_mount(path):
        mounts.tmpfs(path)
    if not os.path.lexists(os.path.join(path, atomic.DATA)):
        os.chmod(path, 0o777)
        if request.fs_group is not None:
            os.chown(path, -1, request.fs_group)
            os.chmod(path, 0o2777)
    atomic.write(path, files, now=request.clock.now(), group=request.fs_group, users=users)
