"""Images that need no registry: pause, the busybox of the tests, the system image; and loading tars into containerd.

In: Settings. Out: image tars below <data-dir>/images, images in the runtime. Called by: cli/up, cli/image, tests.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from kubewheel.run import containerd, oci, pause, system_image
from kubewheel.run.settings import Settings

PAUSE_NAMES = (containerd.PAUSE_IMAGE, "docker.io/kubewheel/pause:latest")
BUSYBOX_NAMES = ("kubewheel.test/busybox:1",)


def directory(settings: Settings) -> Path:
    return settings.data_dir / "images"


# -- making ---------------------------------------------------------------------------------------------------------
def pause_image(settings: Settings) -> oci.Image:
    return oci.write_image(
        directory(settings) / "pause.tar", PAUSE_NAMES,
        [oci.Entry("pause", pause.executable(oci.architecture()), mode=0o755)],
        oci.ImageConfig(entrypoint=["/pause"], user="65535:65535"))


def busybox_image(
    path: Path, *, program: Path = Path("/bin/busybox"), names: tuple[str, ...] = BUSYBOX_NAMES,
) -> oci.Image:
    """A small userland: one static program and its links, users root and nobody, /tmp."""
    if not program.exists():
        program = Path("/usr/bin/busybox")
    listed = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=True).stdout.split()
    entries = [oci.Entry("bin/busybox", source=program, mode=0o755)]
    entries += [oci.Entry(f"bin/{name}", target="bin/busybox", hardlink=True, mode=0o755)
                for name in sorted(set(listed) - {"busybox"})]
    entries += [oci.Entry("etc/passwd",
                          b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
                oci.Entry("etc/group", b"root:x:0:\nnobody:x:65534:\n"),
                oci.Entry("etc/nsswitch.conf", b"hosts: files dns\n"), oci.Entry("tmp"), oci.Entry("root"),
                oci.Entry("home"), oci.Entry("usr/bin/env", target="/bin/env"), oci.Entry("var/tmp"),
                oci.Entry("proc"), oci.Entry("sys"), oci.Entry("dev")]
    return oci.write_image(path, names, entries, oci.ImageConfig(cmd=["sh"], env=[f"PATH={system_image.PATH}"]))


def build_system_image(settings: Settings) -> oci.Image:
    """From the cache where nothing it is made of has changed."""
    path = directory(settings) / "system.tar"
    stamp = path.with_suffix(".json")
    contents = system_image.Contents.of_this_process()
    wanted = contents.fingerprint()
    if path.exists() and stamp.exists():
        known = json.loads(stamp.read_text())
        if known["fingerprint"] == wanted:
            return oci.Image(tuple(known["names"]), known["digest"], path)
    image = oci.write_image(path, (system_image.NAME,), contents.entries(), system_image.CONFIG)
    stamp.write_text(json.dumps({"fingerprint": wanted, "names": list(image.names), "digest": image.digest}))
    return image


# -- the runtime ----------------------------------------------------------------------------------------------------
def present(settings: Settings) -> dict[str, str]:
    """name -> digest of what containerd holds."""
    listed = containerd.ctr(settings, "images", "ls").stdout.splitlines()[1:]
    return {fields[0]: fields[2] for line in listed if len(fields := line.split()) > 2}


def load(settings: Settings, image: oci.Image) -> bool:
    """Into containerd, unless the same digest is there under every name. True when it was loaded."""
    there = present(settings)
    if all(there.get(name) == image.digest for name in image.names):
        return False
    import_tar(settings, image.path)
    return True


def import_tar(settings: Settings, path: Path) -> list[str]:
    """An OCI or docker archive. The names that came. containerd.ContainerdError when it is none."""
    before = present(settings)
    out = containerd.ctr(settings, "images", "import", "--local", str(path), check=False)
    if out.returncode != 0 and "flag provided but not defined" in out.stderr:  # containerd 1.x has no other way
        out = containerd.ctr(settings, "images", "import", str(path), check=False)
    if out.returncode != 0:
        raise containerd.ContainerdError((out.stderr or out.stdout).strip())
    said = [line.split()[1] for line in out.stdout.splitlines() if line.startswith("unpacking ")]
    return said or [name for name, digest in present(settings).items() if before.get(name) != digest]


def remove(settings: Settings, name: str) -> None:
    """Under the name as given, or as docker would complete it. ContainerdError when there is none."""
    there = present(settings)
    for candidate in (name, *completions(name)):
        if candidate in there:
            containerd.ctr(settings, "images", "rm", candidate)
            return
    raise containerd.ContainerdError(f"no image {name}")


def completions(name: str) -> list[str]:
    """`nginx` -> docker.io/library/nginx:latest, and so on."""
    tail = name.rpartition("/")[2]
    full = name if ":" in tail or "@" in tail else f"{name}:latest"
    first, slash, _ = full.partition("/")
    if not slash:
        return [f"docker.io/library/{full}"]
    if "." in first or ":" in first or first == "localhost":
        return [full]
    return [f"docker.io/{full}"]
