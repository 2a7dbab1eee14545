"""Writes a set of files so that a reader sees the old set or the new one, never a mixture.

`<dir>/..<stamp>/…` holds the files, `<dir>/..data` points to it and is swapped by rename, and the visible names are
links through `..data` (upstream's atomic writer: what programs in pods watch for).
In: path -> (bytes, mode). Out: files. Blocking: call in a thread.
Called by: config_map, secret, downward_api, projected.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from kubewheel.lib.clock import rfc3339

DATA = "..data"
Payload = dict[str, tuple[bytes, int]]


def write(directory: str, payload: Payload, *, now: float, group: int | None = None,
          users: dict[str, int] | None = None) -> bool:
    """True if the files changed. `users`: path -> owner."""
    base = Path(directory)
    current = base / DATA
    if current.is_symlink() and _equal(current, payload):
        return False
    stamp = rfc3339(now).rstrip("Z").replace("-", "_").replace(":", "_").replace("T", "_")
    fresh = Path(tempfile.mkdtemp(prefix=f"..{stamp}.", dir=directory))
    fresh.chmod(0o755)
    for path, (data, mode) in payload.items():
        file = fresh / path
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        file.write_bytes(data)
        file.chmod(mode)
        if users and path in users:
            os.chown(file, users[path], -1)
    if group is not None:
        own(str(fresh), group, read_only=True)
    old = os.readlink(current) if current.is_symlink() else None
    link = base / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(current)
    _link_names(base, payload)
    if old:
        shutil.rmtree(base / old, ignore_errors=True)
    return True


def _equal(current: Path, payload: Payload) -> bool:
    found = {}
    for directory, _, files in os.walk(current.resolve()):
        for name in files:
            file = Path(directory) / name
            found[str(file.relative_to(current.resolve()))] = file.read_bytes()
    return found == {path: data for path, (data, _) in payload.items()}


def _link_names(base: Path, payload: Payload) -> None:
    tops = {path.split("/")[0] for path in payload}
    for name in tops:
        link = base / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in base.iterdir():
        if not entry.name.startswith("..") and entry.name not in tops and entry.is_symlink():
            entry.unlink()


def own(path: str, group: int, *, read_only: bool) -> None:
    """fsGroup: the group owns everything and may read (and write) it; directories hand the group on."""
    extra = 0o440 if read_only else 0o660
    for directory, names, files in os.walk(path):
        os.chown(directory, -1, group)
        os.chmod(directory, (os.stat(directory).st_mode & 0o7777) | extra | 0o2110)
        for name in [*files, *(n for n in names if os.path.islink(os.path.join(directory, n)))]:
            file = os.path.join(directory, name)
            os.lchown(file, -1, group)
            if not os.path.islink(file):
                os.chmod(file, (os.stat(file).st_mode & 0o7777) | extra)
