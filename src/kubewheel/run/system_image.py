"""The system image: kubewheel itself, the interpreter that runs it, and the libraries both need.

In: this very installation. Out: entries for an image that runs `kubewheel …` in a pod (cluster DNS and other add-ons).
Called by: run/images.

The interpreter is moved to /usr/local, where it finds its library next to itself; Python packages go to /app; shared
libraries to /usr/local/lib/kubewheel. Byte code is taken along with its header turned to "unchecked", since the tar's
times are all zero and a start must not compile the world again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import marshal
import re
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import kubewheel
from kubewheel.run import oci

NAME = f"docker.io/kubewheel/system:{kubewheel.__version__}"  # not :latest, which is pulled always
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBS = "usr/local/lib/kubewheel"
CONFIG = oci.ImageConfig(
    entrypoint=["/usr/local/bin/python3", "-m", "kubewheel.cli.main"],
    env=[f"PATH={PATH}", "PYTHONPATH=/app", f"LD_LIBRARY_PATH=/{LIBS}", "PYTHONDONTWRITEBYTECODE=1",
         "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"],
    labels={"org.opencontainers.image.title": "kubewheel system image"})

# What add-ons run on; the scheduler's, kubelet's and proxy's own needs stay on the host.
DISTRIBUTIONS = ("aiohttp", "aiofastnet", "uvloop", "orjson", "PyYAML", "cryptography", "PyJWT", "dnslib")
STDLIB_LEFT_OUT = frozenset({
    "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "distutils", "pydoc_data",
    "site-packages", "dist-packages", "__pycache__", "lib-dynload", "turtle.py", "venv", "_pyrepl"})
SUFFIXES_LEFT_OUT = (".a", ".pyx", ".pxd", ".c", ".h", ".pyi", ".exe", ".o")


@dataclass(frozen=True, slots=True)
class File:
    source: Path
    path: str


@dataclass(frozen=True, slots=True)
class Contents:
    files: tuple[File, ...]

    @classmethod
    def of_this_process(cls) -> Contents:
        package = Path(kubewheel.__file__).parent
        stdlib = Path(sysconfig.get_path("stdlib"))
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        base = f"usr/local/lib/{version}"
        out = [File(interpreter(), "usr/local/bin/python3")]
        out += _tree(stdlib, base, left_out=STDLIB_LEFT_OUT)
        out += _tree(_dynload(), f"{base}/lib-dynload",
                     left_out=frozenset({"__pycache__"}))
        out += _tree(package, "app/kubewheel", left_out=frozenset({"__pycache__"}))
        for name in sorted(needed(DISTRIBUTIONS)):
            out += _distribution(name)
        return cls(tuple(sorted(out, key=lambda file: file.path)))

    def fingerprint(self) -> str:
        """Changes when a file does: by size and time, to be quick; the digest is by content."""
        digest = hashlib.sha256(sys.version.encode())
        for file in self.files:
            stat = file.source.stat()
            digest.update(f"{file.path}\0{file.source}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def entries(self) -> Iterator[oci.Entry]:
        for file in self.files:
            runs = file.path.startswith("usr/local/bin/") or ".so" in file.path
            yield oci.Entry(file.path, source=file.source, mode=0o755 if runs else 0o644)
            if file.path.endswith(".py") and (code := byte_code(file.source)) is not None:
                where, _, name = file.path.rpartition("/")
                yield oci.Entry(f"{where}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc", code)
        yield from self._shared_libraries()
        yield oci.Entry("etc/passwd",
                        b"root:x:0:0:root:/root:/sbin/nologin\n"
                        b"nobody:x:65534:65534::/:/sbin/nologin\n")
        yield oci.Entry("etc/group", b"root:x:0:\nnobody:x:65534:\n")
        yield oci.Entry("etc/nsswitch.conf", b"hosts: files dns\n")
        yield oci.Entry("tmp")
        yield oci.Entry("usr/local/bin/kubewheel",
                        b"#!/usr/local/bin/python3\nimport sys\n"
                        b"from kubewheel.cli.main import main\nsys.exit(main())\n",
                        mode=0o755)

    def _shared_libraries(self) -> Iterator[oci.Entry]:
        programs = [file.source for file in self.files
                    if file.path == "usr/local/bin/python3" or re.search(r"\.so(\.|$)", file.path)]
        own = {str(file.source.resolve()) for file in self.files}
        for name, source in sorted(shared_libraries(programs).items()):
            if str(source.resolve()) in own:
                continue  # a library that a wheel carries stays where the wheel looks for it
            # The loader is found by its absolute name, all others through LD_LIBRARY_PATH.
            path = name.lstrip("/") if name.startswith("/") else f"{LIBS}/{name}"
            yield oci.Entry(path, source=source.resolve(), mode=0o755)


def interpreter() -> Path:
    """The real executable, not the environment's link to it."""
    return Path(sys.executable).resolve()


def _dynload() -> Path:
    """The compiled part of the standard library; sysconfig names the virtual environment's, which has none."""
    return next(Path(path) for path in sys.path if Path(path).name == "lib-dynload")


# -- Python packages ------------------------------------------------------------------------------------------------
def needed(names: Iterable[str]) -> set[str]:
    """The distributions with what they need, extras left out (what is not installed here is not needed)."""
    out: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in out:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            if name in DISTRIBUTIONS:
                raise
            continue
        out.add(key)
        waiting += [re.split(r"[\s\[;<>=!~(]", requirement, maxsplit=1)[0] for requirement in requirements
                    if "extra ==" not in requirement]
    return out


def _distribution(name: str) -> list[File]:
    distribution = importlib.metadata.distribution(name)
    out = []
    for file in distribution.files or ():
        parts = file.parts
        if parts[0] == ".." or "__pycache__" in parts or "tests" in parts or str(file).endswith(SUFFIXES_LEFT_OUT):
            continue
        if parts[0].endswith(".dist-info") and parts[-1] not in ("METADATA", "entry_points.txt"):
            continue
        source = Path(str(file.locate()))
        if source.is_file():
            out.append(File(source, f"app/{file}"))
    return out


def _tree(root: Path, path: str, *, left_out: frozenset[str]) -> list[File]:
    out = []
    for source in sorted(root.iterdir()):
        if source.name in left_out or source.name.startswith("config-") or source.suffix in (".a", ".o"):
            continue
        if source.is_dir():
            out += _tree(source, f"{path}/{source.name}", left_out=frozenset({"test", "tests", "__pycache__"}))
        elif not source.name.startswith(("_test", "_ctypes_test", "_xxtest", "_tkinter")):
            out.append(File(source, f"{path}/{source.name}"))
    return out


def byte_code(source: Path) -> bytes | None:
    """The module as an unchecked hash-based .pyc: the one beside it if it is current, else freshly compiled."""
    text = source.read_bytes()
    header = importlib.util.MAGIC_NUMBER + struct.pack("<I", 0b01) + importlib.util.source_hash(text)
    cached = Path(importlib.util.cache_from_source(str(source)))
    if cached.exists():
        data = cached.read_bytes()
        stat = source.stat()
        current = importlib.util.MAGIC_NUMBER + struct.pack(
            "<III", 0, int(stat.st_mtime) & 0xFFFFFFFF, stat.st_size & 0xFFFFFFFF)
        if data[:16] == current:
            return header + data[16:]
    try:
        return header + marshal.dumps(compile(text, str(source), "exec", dont_inherit=True))
    except SyntaxError:
        return None  # templates and samples that bear the name of modules


# -- shared libraries -----------------------------------------------------------------------------------------------
def shared_libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """soname -> file (the loader under its absolute name) of all that the programs load, as ldd finds it."""
    out: dict[str, Path] = {}
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        found = re.match(r"\s+(\S+) => (/\S+) \(0x", line)
        loader = re.match(r"\s+(/\S*ld-linux\S*) \(0x", line)
        if found:
            out[found[1]] = Path(found[2])
        elif loader:
            out[loader[1]] = Path(loader[1])
    return out
