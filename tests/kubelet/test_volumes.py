"""The atomic writer, key selection, host path types."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kubewheel.kubelet.volumes import atomic, host_path, keys
from kubewheel.kubelet.volumes.volume import MountError


def test_a_reader_sees_old_or_new_never_both(tmp_path: Path) -> None:
    base = str(tmp_path)
    assert atomic.write(base, {"a": (b"1", 0o644), "dir/b": (b"2", 0o400)}, now=0)
    first = os.readlink(tmp_path / "..data")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert os.readlink(tmp_path / "dir") == "..data/dir"
    assert (tmp_path / "dir" / "b").stat().st_mode & 0o777 == 0o400
    assert not atomic.write(base, {"a": (b"1", 0o644), "dir/b": (b"2", 0o400)}, now=1)
    assert os.readlink(tmp_path / "..data") == first
    assert atomic.write(base, {"a": (b"new", 0o644)}, now=2)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "dir").exists()
    assert not (tmp_path / first).exists()


def test_fs_group_owns_the_files(tmp_path: Path) -> None:
    atomic.write(str(tmp_path), {"a": (b"1", 0o400)}, now=0, group=4321)
    seen = (tmp_path / "a").stat()
    assert (seen.st_gid, seen.st_mode & 0o777) == (4321, 0o440)


def test_items_choose_keys() -> None:
    data = {"a": b"1", "b": b"2"}
    source = {"items": [{"key": "a", "path": "x/y", "mode": 0o600}]}
    assert keys.select(data, source, 0o644, what="missing") == {"x/y": (b"1", 0o600)}
    with pytest.raises(MountError, match="missing: c"):
        keys.select(data, {"items": [{"key": "c", "path": "c"}]}, 0o644, what="missing")
    with pytest.raises(MountError, match="may not contain"):
        keys.safe_path("../etc/passwd")


def test_host_path_types(tmp_path: Path) -> None:
    host_path.ensure(str(tmp_path / "d"), "DirectoryOrCreate")
    assert (tmp_path / "d").is_dir()
    host_path.ensure(str(tmp_path / "f"), "FileOrCreate")
    host_path.ensure(str(tmp_path / "f"), "File")
    host_path.ensure(str(tmp_path / "whatever"), "")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        host_path.ensure(str(tmp_path / "s"), "Socket")
    with pytest.raises(MountError, match="hostPath type check failed: .*/f is not a directory"):
        host_path.ensure(str(tmp_path / "f"), "Directory")
