"""hostPath: a path of the node, with its type checked or made."""

from __future__ import annotations

import asyncio
import os
import stat

from kubewheel.kubelet.volumes.volume import MountError, Request

SOURCE = "hostPath"
DIRECTORY = ""
READ_ONLY = False
REFRESHED = False

_CHECKS = {
    "Directory": (stat.S_ISDIR, "a directory"), "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket"), "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


async def mount(request: Request) -> str:
    path = request.source["path"]
    await asyncio.to_thread(ensure, path, request.source.get("type") or "")
    return path


def ensure(path: str, kind: str) -> None:
    if kind == "DirectoryOrCreate" and not os.path.exists(path):
        os.makedirs(path, mode=0o755)
    elif kind == "FileOrCreate" and not os.path.exists(path):
        with open(path, "a"):
            os.chmod(path, 0o644)
    check = _CHECKS.get(kind.removesuffix("OrCreate"))
    if check is None:
        return
    test, words = check
    if not os.path.exists(path) or not test(os.stat(path).st_mode):
        raise MountError(f"hostPath type check failed: {path} is not {words}")
