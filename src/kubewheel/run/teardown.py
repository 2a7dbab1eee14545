"""`down` and `reset`: everything stopped, and the host as it was found.

In: Settings. Out: no process, container, mount, link, route, rule or cgroup of ours; the API's data stays (`down`) or
goes too (`reset`). `leftovers` says what is still there. Works from files and the kernel's state alone, so it also
cleans up after a crash. Called by: cli/up, tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kubewheel.network import cni
from kubewheel.run import containerd, host, pidfile, supervisor
from kubewheel.run.settings import Settings

Say = Callable[[str], None]

STOP_GRACE = 2  # seconds a container has between SIGTERM and SIGKILL
NFT_TABLE = re.compile(r"table (\S+) ((?:kubewheel|kube-proxy)\S*)")
IPTABLES_CHAIN = re.compile(r"^:((?:CNI|KUBE)-\S+)", re.MULTILINE)


def network_of(settings: Settings) -> cni.Network:
    """The node's network as far as `remove` needs it (the node's own range does not matter there)."""
    return cni.Network(pod_cidr=settings.pod_cidr, cluster_cidr=settings.pod_cidr, service_cidr=settings.service_cidr,
                       conf_dir=containerd.cni_conf_dir(settings), ipam_dir=settings.run_dir / "cni" / "networks")


def down(settings: Settings, say: Say) -> list[str]:
    """What could not be removed, [] when the host is as it was."""
    host.require_root()
    say("stopping the cluster")
    stop_processes(settings, ("node", "control-plane"))
    if not settings.container_runtime_endpoint:
        say("stopping containers")
        stop_containers(settings)
        stop_processes(settings, ("containerd",))
        kill_shims(settings)
    say("restoring the host")
    unmount_all(settings)
    with contextlib.suppress(FileNotFoundError):  # a host on which nothing was ever installed has no nft or ip
        cni.remove(network_of(settings))
        remove_rules()
    remove_cgroups()
    for path in Path("/var/lib/cni/results").glob("kubewheel-*"):
        path.unlink()
    host.restore(settings)
    shutil.rmtree(settings.run_dir, ignore_errors=True)
    return leftovers(settings)


def reset(settings: Settings, say: Say) -> list[str]:
    down(settings, say)
    say("deleting data and logs")
    for path in (settings.data_dir, settings.log_dir):
        shutil.rmtree(path, ignore_errors=True)
    return [*leftovers(settings), *(str(path) for path in (settings.data_dir, settings.log_dir) if path.exists())]


# -- processes ------------------------------------------------------------------------------------------------------
def stop_processes(settings: Settings, names: tuple[str, ...]) -> None:
    """The supervisor first, so that it starts nothing again; it leaves its children to us."""
    if (daemon := supervisor.alive(settings)) is not None:
        pidfile.send(daemon, signal.SIGUSR1)
        if not pidfile.wait_gone(daemon, 5):
            pidfile.stop(daemon, grace=0)
    for name in names:
        if (process := supervisor.alive(settings, name)) is not None:
            pidfile.stop(process, grace=10)
        supervisor.pid_path(settings, name).unlink(missing_ok=True)


def stop_containers(settings: Settings) -> None:
    """Every pod sandbox, through the CRI: containers get SIGTERM, CNI gives the addresses back."""
    if not containerd.root_dir(settings).exists():
        return
    helper = None
    if not containerd.is_listening(settings):
        if not any(containerd.state_dir(settings).glob("io.containerd.runtime.v2.task/*/*")):
            return  # nothing runs, and nothing is left of what ran
        containerd.prepare(settings)
        with (settings.log_dir / "containerd.log").open("ab") as log:
            helper = subprocess.Popen(containerd.argv(settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        containerd.wait_ready(settings)
        asyncio.run(_stop_sandboxes(settings.runtime_endpoint))
    finally:
        if helper is not None:
            helper.terminate()
            helper.wait()


async def _stop_sandboxes(endpoint: str) -> None:
    from kubewheel.kubelet.cri import Cri

    cri = Cri(endpoint)
    try:
        running = [item for item in await cri.list_containers() if item.get("state") in (1, "CONTAINER_RUNNING")]
        await asyncio.gather(*(cri.stop_container(item["id"], STOP_GRACE) for item in running), return_exceptions=True)
        sandboxes: list[dict[str, Any]] = await cri.list_sandboxes()
        for one in sandboxes:
            with contextlib.suppress(Exception):  # what the runtime cannot end, kill_shims and unmount_all do
                await cri.stop_sandbox(one["id"])
                await cri.remove_sandbox(one["id"])
    finally:
        await cri.aclose()


def kill_shims(settings: Settings) -> None:
    """Shims that outlived their containerd, known by our socket in their arguments, with what runs under them."""
    ours = f"-address\0{settings.containerd_socket}\0".encode()
    for process in list(_processes()):
        try:
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"containerd-shim" in command.split(b"\0")[0] and ours in command:
            for child in _descendants(process.pid):
                pidfile.send(child, signal.SIGKILL)
            pidfile.send(process, signal.SIGKILL)
            pidfile.wait_gone(process, 5)


def _processes() -> Iterator[pidfile.Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (process := pidfile.of(int(entry))) is not None:
            yield process


def _descendants(pid: int) -> list[pidfile.Process]:
    out = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            out += _descendants(int(child))
            if (process := pidfile.of(int(child))) is not None:
                out.append(process)
    return out


# -- mounts ---------------------------------------------------------------------------------------------------------
def mounts_below(*roots: Path) -> list[str]:
    """Mount points below our directories, deepest first."""
    prefixes = tuple(f"{root}/" for root in roots)
    points = [line.split()[4].encode().decode("unicode_escape")
              for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(prefixes)), key=len, reverse=True)


def unmount_all(settings: Settings) -> None:
    for point in mounts_below(settings.data_dir, settings.run_dir):
        done = subprocess.run(["umount", point], capture_output=True, check=False)
        if done.returncode != 0:  # someone still has a file open there: it goes when they do
            subprocess.run(["umount", "-l", point], capture_output=True, check=False)


# -- rules ----------------------------------------------------------------------------------------------------------
def our_tables() -> list[tuple[str, str]]:
    if shutil.which("nft") is None:
        return []
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    return NFT_TABLE.findall(listed)


def our_chains(table: str) -> list[str]:
    """Chains of the iptables-based CNI plugins."""
    if shutil.which("iptables-save") is None or not _iptables_used(table):
        return []
    saved = subprocess.run(["iptables-save", "-t", table], capture_output=True, text=True, check=False).stdout
    return IPTABLES_CHAIN.findall(saved)


def _iptables_used(table: str) -> bool:
    """Listing a table by iptables-nft would create it; so look first."""
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout
    return f"table ip {table}" in listed.splitlines()


def remove_rules() -> None:
    for family, name in our_tables():
        subprocess.run(["nft", "delete", "table", family, name], check=False)
    for table in ("nat", "filter", "mangle"):
        chains = our_chains(table)
        if not chains:
            continue
        saved = subprocess.run(["iptables-save", "-t", table], capture_output=True, text=True, check=True).stdout
        jumps = [line for line in saved.splitlines() if line.startswith("-A ")
                 and line.split()[1] not in chains and any(f"-j {chain}" in f"{line} " for chain in chains)]
        script = [f"*{table}", *(f"-D {line[3:]}" for line in jumps), *(f":{chain} - [0:0]" for chain in chains),
                  *(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains), "COMMIT", ""]
        subprocess.run(["iptables-restore", "--noflush"], input="\n".join(script), text=True, check=False)
        _drop_if_bare(table)


def _drop_if_bare(table: str) -> None:
    """A table that only holds empty base chains was made for our plugins: take it away as well."""
    listed = json.loads(subprocess.run(["nft", "-j", "list", "table", "ip", table], capture_output=True, text=True,
                                       check=True).stdout)
    if not any("rule" in item for item in listed["nftables"]):
        subprocess.run(["nft", "delete", "table", "ip", table], check=False)


# -- cgroups --------------------------------------------------------------------------------------------------------
def our_cgroups(root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    return [path for path in (root / "kubepods", *root.glob("*/kubepods")) if path.is_dir()]


def remove_cgroups() -> None:
    """Empty ones; one with a process in it is somebody's and stays (and `leftovers` tells)."""
    deadline = time.monotonic() + 2
    while (groups := our_cgroups()) and time.monotonic() < deadline:
        for group in groups:
            for path, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
        time.sleep(0.02)


# -- looking --------------------------------------------------------------------------------------------------------
def leftovers(settings: Settings) -> list[str]:
    """What of ours is still on the host, as texts for people; [] when it is clean."""
    out = [f"process {name} (pid {process.pid})"
           for name in (supervisor.NAME, "containerd", "control-plane", "node")
           if (process := supervisor.alive(settings, name)) is not None]
    out += [f"mount {point}" for point in mounts_below(settings.data_dir, settings.run_dir)]
    network = network_of(settings)
    if Path(f"/sys/class/net/{network.bridge}").exists():
        out.append(f"link {network.bridge}")
    if shutil.which("ip") is not None:
        out += [f"route {route}" for route in cni.routes()
                if route.split()[0] in (settings.service_cidr,)
                or route.split()[:2] == ["unreachable", settings.pod_cidr]]
    out += [f"nftables table {family} {name}" for family, name in our_tables()]
    out += [f"iptables chain {chain} in {table}" for table in ("nat", "filter", "mangle")
            for chain in our_chains(table)]
    out += [f"cgroup {path}" for path in our_cgroups()]
    if settings.run_dir.exists():
        out.append(f"directory {settings.run_dir}")
    return out
