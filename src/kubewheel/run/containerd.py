"""kubewheel's own containerd: private root, state, socket, CNI configuration and runc state.

In: Settings. Out: a config file, the argv to run, readiness, `ctr` calls. The supervisor runs it; its shims hold the
containers, so that it can be killed and started again under them. Called by: run/supervisor, images, teardown, cli.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from kubewheel.run.settings import Settings

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
NAMESPACE = "k8s.io"  # where the CRI plugin keeps its images and containers
CNI_BIN_DIRS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))


class ContainerdError(Exception):
    """containerd did not come up, or refused a call."""


def root_dir(settings: Settings) -> Path:
    return settings.data_dir / "containerd"


def state_dir(settings: Settings) -> Path:
    return settings.run_dir / "containerd"


def config_path(settings: Settings) -> Path:
    return state_dir(settings) / "config.toml"


def cni_conf_dir(settings: Settings) -> Path:
    return settings.run_dir / "cni" / "net.d"


def registry_dir(settings: Settings) -> Path:
    """hosts.toml files per registry, as containerd documents them."""
    return settings.data_dir / "registries"


def cni_bin_dir() -> Path:
    return next((path for path in CNI_BIN_DIRS if (path / "bridge").exists()), CNI_BIN_DIRS[0])


def argv(settings: Settings) -> tuple[str, ...]:
    return ("containerd", "--config", str(config_path(settings)))


def render_config(settings: Settings) -> str:
    """config.toml, version 2."""
    state = state_dir(settings)
    return f"""\
version = 2
root = "{root_dir(settings)}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", \
"io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", \
"io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = "{settings.containerd_socket}"
  max_recv_message_size = 16777216
  max_send_message_size = 16777216

[ttrpc]
  address = "{settings.containerd_socket}.ttrpc"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  max_container_log_line_size = 16384
  netns_mounts_under_state_dir = true
  tolerate_missing_hugetlb_controller = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  restrict_oom_score_adj = {"false" if may_lower_oom_score() else "true"}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin_dir()}"
    conf_dir = "{cni_conf_dir(settings)}"
    max_conf_num = 1
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{registry_dir(settings)}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{state}/runc"
"""


def may_lower_oom_score() -> bool:
    """Whether we hold CAP_SYS_RESOURCE. Without it (a container, a sandboxed VM) runc cannot give the pause process its
    -998, and no sandbox would start: containerd is then told to leave scores where they are."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 24 & 1)
    return False


def prepare(settings: Settings) -> None:
    """Directories and the config file."""
    for path in (root_dir(settings), state_dir(settings), cni_conf_dir(settings), registry_dir(settings)):
        path.mkdir(parents=True, exist_ok=True)
    root_dir(settings).chmod(0o711)
    config_path(settings).write_text(render_config(settings))


def is_listening(settings: Settings) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(settings.containerd_socket))
        except OSError:
            return False
    return True


def wait_ready(settings: Settings, *, seconds: float = 30.0) -> None:
    """Until it serves calls. ContainerdError with the end of its log when it does not. Blocks: call it in a thread."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_listening(settings) and ctr(settings, "version", check=False).returncode == 0:
            return
        time.sleep(0.05)
    log = settings.log_dir / "containerd.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else "no log"
    raise ContainerdError(f"containerd is not ready after {seconds:.0f}s; {log} ends with:\n{tail}")


def ctr(settings: Settings, *args: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """`ctr` in the CRI's namespace. ContainerdError with its message when it fails."""
    program = shutil.which("ctr")
    if program is None:
        raise ContainerdError("ctr is missing: it comes with the containerd package")
    done = subprocess.run(
        [program, "--address", str(settings.containerd_socket), "--namespace", NAMESPACE, *args],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise ContainerdError((done.stderr or done.stdout).strip() or f"ctr {args[0]} failed")
    return done
