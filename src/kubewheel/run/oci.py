"""OCI images as tar files in pure Python: the same content always gives the same digest.

In: file entries. Out: an image tar (OCI layout, one uncompressed layer) and its manifest digest.
Called by: run/images, run/system_image.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file (data or source), link (target) or, with none of them, directory; `path` without a leading slash."""

    path: str
    data: bytes | None = None
    source: Path | None = None
    target: str = ""
    hardlink: bool = False
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Image:
    names: tuple[str, ...]  # full references, "registry.k8s.io/pause:3.10"
    digest: str  # of the manifest
    path: Path


@dataclass(slots=True)
class ImageConfig:
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Sequence[str] = ()
    user: str = ""
    working_dir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)


def architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def write_layer(entries: Iterable[Entry], out: BinaryIO) -> None:
    """A tar sorted by path with the parent directories, owner 0 and time 0 throughout."""
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        for parent in Path(path).parents:
            if str(parent) != "." and str(parent) not in by_path:
                by_path[str(parent)] = Entry(str(parent))
    # Hard links last: their targets must be there when they are unpacked.
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in sorted(by_path.values(), key=lambda e: (e.hardlink, e.path)):
            _add(tar, entry)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    if entry.target:
        info.type = tarfile.LNKTYPE if entry.hardlink else tarfile.SYMTYPE
        info.linkname = entry.target
        tar.addfile(info)
        return
    data = entry.data if entry.source is None else entry.source.read_bytes()
    if data is None:
        info.type = tarfile.DIRTYPE
        info.mode = 0o1777 if entry.path in ("tmp", "var/tmp") else 0o755
        tar.addfile(info)
        return
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def write_image(path: Path, names: Sequence[str], entries: Iterable[Entry], config: ImageConfig) -> Image:
    """The image tar at `path` (written aside, then renamed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layer_path = path.with_name(f".{path.name}.layer")
    fresh = path.with_name(f".{path.name}.new")
    with layer_path.open("wb") as out:
        write_layer(entries, out)
    with layer_path.open("rb") as layer:
        layer_digest = "sha256:" + hashlib.file_digest(layer, "sha256").hexdigest()
    try:
        digest = _write_layout(fresh, names, layer_path, layer_digest, config)
        fresh.replace(path)
    finally:
        layer_path.unlink()
        fresh.unlink(missing_ok=True)
    return Image(tuple(names), digest, path)


def _write_layout(path: Path, names: Sequence[str], layer: Path, layer_digest: str, config: ImageConfig) -> str:
    config_bytes = _json(_config(config, layer_digest))
    manifest = _json({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config_bytes),
        "layers": [{"mediaType": LAYER, "digest": layer_digest, "size": layer.stat().st_size}]})
    descriptor = _descriptor(MANIFEST, manifest)
    index = _json({"schemaVersion": 2, "manifests": [
        descriptor | {"annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}}
        for name in names]})
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, Entry("oci-layout", _json({"imageLayoutVersion": "1.0.0"})))
        _add(tar, Entry("index.json", index))
        for blob in (config_bytes, manifest):
            _add(tar, Entry(_blob(_digest(blob)), blob))
        info = tarfile.TarInfo(_blob(layer_digest))
        info.size = layer.stat().st_size
        with layer.open("rb") as data:
            tar.addfile(info, data)
    return str(descriptor["digest"])


def _config(config: ImageConfig, layer_digest: str) -> dict[str, Any]:
    run = {"Entrypoint": list(config.entrypoint), "Cmd": list(config.cmd), "Env": list(config.env),
           "User": config.user, "WorkingDir": config.working_dir, "Labels": config.labels}
    return {
        "architecture": architecture(), "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kubewheel"}],
    }


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
