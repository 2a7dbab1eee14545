"""What must be on the host, and what of it is changed: packages, kernel modules, sysctls, cgroups.

In: Settings, a `say` for progress. Out: a host that can run pods; the old values in <run-dir>/host.json, from which
`restore` puts them back. Called by: cli/up, run/teardown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kubewheel.run import containerd
from kubewheel.run.settings import Settings

Say = Callable[[str], None]

# Debian package -> the program it brings (an absolute path for what is not in PATH)
PACKAGES: Mapping[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "",  # asked of containerd.cni_bin_dir
    "nftables": "nft",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "busybox-static": "busybox",
    "socat": "socat",
    "kmod": "modprobe",
}
MODULES = ("overlay", "br_netfilter", "nf_conntrack", "nf_tables")
SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
}
# Set by components as they run; remembered here so that `down` puts them back too.
ALSO_RESTORED = (
    "net.ipv4.conf.all.route_localnet", "net.ipv4.conf.all.send_redirects", "net.ipv4.vs.conntrack",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_established", "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_be_liberal", "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic",
    "kernel.panic_on_oops", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes",
)
# Directories that containerd, libcni and the plugins fill outside ours; removed by `down` where we brought them.
FOREIGN_DIRS = ("/var/lib/cni/results", "/var/lib/cni", "/run/containerd/s", "/run/containerd/fifo",
                "/run/containerd", "/run/xtables.lock")


class HostError(Exception):
    """The host lacks something that we cannot bring."""


def require_root() -> None:
    if os.geteuid() != 0:
        raise HostError("this needs root: it starts containers and sets up their network (try sudo)")


# -- packages -------------------------------------------------------------------------------------------------------
def missing_packages(which: Callable[[str], str | None] | None = None) -> list[str]:
    find = which or _which
    out = [package for package, program in PACKAGES.items() if program and find(program) is None]
    if not (containerd.cni_bin_dir() / "bridge").exists():
        out.append("containernetworking-plugins")
    return out


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def install(packages: list[str], say: Say) -> None:
    """apt-get, without letting a package start services of its own (containerd's would)."""
    if shutil.which("apt-get") is None:
        raise HostError(f"missing on this host: {', '.join(packages)}; install them (there is no apt-get here)")
    say(f"installing {' '.join(packages)}")
    with no_service_starts():
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", *packages)


def _apt(*args: str) -> None:
    done = subprocess.run(
        ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *args], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False)
    if done.returncode != 0:
        raise HostError(f"apt-get {args[0]} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")


@contextlib.contextmanager
def no_service_starts(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """While inside, maintainer scripts start no service (Debian's policy-rc.d). One that is there already is left."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


# -- kernel ---------------------------------------------------------------------------------------------------------
def cgroup_version(root: Path = Path("/sys/fs/cgroup")) -> int:
    """2 for the unified hierarchy, 1 for one mount per controller. HostError where there is neither."""
    if (root / "cgroup.controllers").exists():
        return 2
    if (root / "memory").is_dir() and (root / "cpu").is_dir():
        return 1
    raise HostError(f"no cgroup hierarchy with cpu and memory is mounted below {root}")


def sysctl_path(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def read_sysctl(name: str) -> str | None:
    """None where the kernel has no such setting."""
    with contextlib.suppress(OSError):
        return sysctl_path(name).read_text().strip()
    return None


def record_path(settings: Settings) -> Path:
    # In the run directory: after a reboot the kernel has its own values again, and nothing is to be restored.
    return settings.run_dir / "host.json"


def prepare(settings: Settings, say: Say) -> None:
    """Packages, modules, sysctls. Changes nothing the second time."""
    require_root()
    cgroup_version()
    if missing := missing_packages():
        install(missing, say)
    for path in (settings.data_dir, settings.run_dir, settings.log_dir):
        path.mkdir(parents=True, exist_ok=True)
    settings.data_dir.chmod(0o755)
    if not record_path(settings).exists():
        _load_modules()
        _write_record(settings)
    for name, wanted in SYSCTLS.items():
        if read_sysctl(name) not in (None, wanted):
            sysctl_path(name).write_text(wanted)


def _load_modules() -> None:
    """What is built in, or absent from this kernel, is no error here: what needs it says so."""
    if modprobe := _which("modprobe"):
        subprocess.run([modprobe, "-qa", *MODULES], capture_output=True, check=False)


def _write_record(settings: Settings) -> None:
    values = {name: value for name in (*SYSCTLS, *ALSO_RESTORED) if (value := read_sysctl(name)) is not None}
    brought = [path for path in FOREIGN_DIRS if not Path(path).exists()]
    fresh = record_path(settings).with_suffix(".new")
    fresh.write_text(json.dumps({"sysctls": values, "brought": brought, "tables": sorted(xtables())}, indent=1))
    fresh.replace(record_path(settings))


def restore(settings: Settings) -> None:
    """Sysctls as they were before `prepare`; directories that others made for us, where they are empty now."""
    path = record_path(settings)
    if not path.exists():
        return
    record = json.loads(path.read_text())
    for name, value in record["sysctls"].items():
        if read_sysctl(name) not in (None, value):
            sysctl_path(name).write_text(value)
    for brought in record["brought"]:
        _remove_if_empty(Path(brought))
    for table in xtables() - set(record.get("tables", xtables())):
        _drop_if_bare(table)
    path.unlink()


def xtables() -> set[str]:
    """The tables of iptables and ip6tables on this host, as "ip nat"; CNI plugins make some by merely looking."""
    if (nft := _which("nft")) is None:
        return set()
    listed = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"^table (ip6? (?:nat|filter|mangle|raw))$", listed, re.MULTILINE))


def _drop_if_bare(table: str) -> None:
    """A table without a single rule, which was not there before us."""
    nft = _which("nft") or "nft"
    done = subprocess.run([nft, "-j", "list", "table", *table.split()], capture_output=True, text=True, check=False)
    if done.returncode == 0 and not any("rule" in item for item in json.loads(done.stdout)["nftables"]):
        subprocess.run([nft, "delete", "table", *table.split()], check=False)


def _remove_if_empty(path: Path) -> None:
    if path.is_file():
        path.unlink()
    elif path.is_dir() and not any(path.iterdir()):
        path.rmdir()
