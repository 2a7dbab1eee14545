"""mount(2) and umount(2), and what is mounted now.

In: paths. Out: mounts; OSError. Called by: volumes/*.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8


def _call(result: int, path: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)


def mount(source: str, target: str, kind: str, *, flags: int = 0, data: str = "") -> None:
    _call(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()), target)


def tmpfs(target: str, *, size: int = 0) -> None:
    mount("tmpfs", target, "tmpfs", data=f"size={size}" if size else "")


def bind(source: str, target: str) -> None:
    mount(source, target, "", flags=MS_BIND | MS_REC)


def unmount(target: str) -> None:
    """Lazily, so that a file still open does not hold the pod's end back."""
    _call(_libc.umount2(target.encode(), MNT_DETACH | UMOUNT_NOFOLLOW), target)


def mounted_below(path: str) -> list[str]:
    """Mount points at or below the path, deepest first."""
    head = path.rstrip("/") + "/"
    out = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            point = line.split(" ")[4].encode().decode("unicode_escape")
            if point == path or point.startswith(head):
                out.append(point)
    return sorted(out, key=len, reverse=True)


def is_mount(path: str) -> bool:
    return path in mounted_below(path)
