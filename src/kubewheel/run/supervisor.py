"""The background daemon of a cluster: keeps containerd, the control plane and the node alive.

In: Settings (as flags). Out: running children, each with a pid file below <run-dir>/pids and a log in <log-dir>.
Called by: cli/up (through `spawn`), which runs this module as a program.

Invariants:
- A child is its own session with its output in a file: it outlives the supervisor, and the next one adopts it.
- Only processes whose pid file names their start time are ever signalled.
- SIGTERM stops the children, last started first, and ends. SIGUSR1 ends the supervisor and leaves the children.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubewheel.run import containerd, pidfile
from kubewheel.run.settings import Settings

log = logging.getLogger(__name__)

NAME = "supervisor"
LOG_LIMIT = 10 * 1024 * 1024
LOGS_KEPT = 3
FIRST_DELAY, MAX_DELAY, WELL_AFTER = 0.2, 30.0, 60.0


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    argv: tuple[str, ...]
    log: Path
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL
    oom_score_adj: int = -997


def settings_flags(settings: Settings) -> list[str]:
    return ["--data-dir", str(settings.data_dir), "--run-dir", str(settings.run_dir),
            "--log-dir", str(settings.log_dir), "--node-name", settings.node_name, "--node-ip", settings.node_ip,
            "--secure-port", str(settings.secure_port), "--kubelet-port", str(settings.kubelet_port),
            "--pod-cidr", settings.pod_cidr, "--service-cidr", settings.service_cidr, "--domain", settings.domain,
            "--controllers", settings.controllers,
            *(["--container-runtime-endpoint", settings.container_runtime_endpoint]
              if settings.container_runtime_endpoint else [])]


def children(settings: Settings) -> tuple[Child, ...]:
    """In starting order."""
    ours = (sys.executable, "-m", "kubewheel.cli.main")
    flags = tuple(settings_flags(settings))
    out = []
    if not settings.container_runtime_endpoint:
        out.append(Child("containerd", containerd.argv(settings), settings.log_dir / "containerd.log",
                         oom_score_adj=-999))
    out.append(Child("control-plane", (*ours, "control-plane", *flags), settings.log_dir / "control-plane.log"))
    out.append(Child("node", (*ours, "node", *flags), settings.log_dir / "node.log", oom_score_adj=-999))
    return tuple(out)


def pid_path(settings: Settings, name: str) -> Path:
    return settings.run_dir / "pids" / f"{name}.json"


def alive(settings: Settings, name: str = NAME) -> pidfile.Process | None:
    return pidfile.read(pid_path(settings, name))


def spawn(settings: Settings) -> bool:
    """Starts the daemon unless it runs; True when it was started. Returns once it has left our session."""
    if alive(settings) is not None:
        return False
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    with (settings.log_dir / "supervisor.log").open("ab") as out:
        subprocess.run([sys.executable, "-m", "kubewheel.run.supervisor", *settings_flags(settings)], check=True,
                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True)
    return True


# -- one child ------------------------------------------------------------------------------------------------------
class Keeper:
    """Keeps one child alive: adopts the one that runs, starts it otherwise, again with back-off when it ends."""

    def __init__(self, child: Child, pid_file: Path) -> None:
        self.child = child
        self.pid_file = pid_file
        self.process: pidfile.Process | None = None
        self._popen: subprocess.Popen[bytes] | None = None

    async def keep(self) -> None:
        delay = FIRST_DELAY
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            self._adopt_or_start()
            await self._wait_ended()
            if loop.time() - started > WELL_AFTER:
                delay = FIRST_DELAY
            log.warning("%s ended%s; starting it again in %.1fs", self.child.name, self._status(), delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_DELAY)

    def _adopt_or_start(self) -> None:
        found = pidfile.read(self.pid_file)
        if found is not None and found.argv == self.child.argv:
            log.info("adopted %s, pid %d", self.child.name, found.pid)
            self.process = found
            return
        if found is not None:  # it runs with other flags than we were asked for
            log.info("replacing %s, pid %d", self.child.name, found.pid)
            pidfile.stop(found, grace=self.child.grace)
        self._start()

    def _start(self) -> None:
        with self.child.log.open("ab") as out:  # append mode: rotation truncates the file under the writer
            self._popen = subprocess.Popen(
                self.child.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True)
        self.process = pidfile.of(self._popen.pid, self.child.argv)
        if self.process is not None:
            pidfile.write(self.pid_file, self.process)
            with contextlib.suppress(OSError):  # not ours to lower in a user namespace: the default is kept
                Path(f"/proc/{self.process.pid}/oom_score_adj").write_text(str(self.child.oom_score_adj))
            log.info("started %s, pid %d", self.child.name, self.process.pid)

    async def _wait_ended(self) -> None:
        if self.process is not None:
            await _ended(self.process)
        if self._popen is not None:
            self._popen.wait()

    def _status(self) -> str:
        return "" if self._popen is None else f" with status {self._popen.returncode}"

    async def stop(self) -> None:
        if self.process is None or not pidfile.send(self.process, signal.SIGTERM):
            return
        try:
            await asyncio.wait_for(_ended(self.process), self.child.grace)
        except TimeoutError:
            log.warning("%s did not end in %.0fs: killed", self.child.name, self.child.grace)
            pidfile.send(self.process, signal.SIGKILL)
            await _ended(self.process)
        if self._popen is not None:
            self._popen.wait()
        self.pid_file.unlink(missing_ok=True)


async def _ended(process: pidfile.Process) -> None:
    """Waits for any process, child or adopted, without polling."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_reader(handle, done.set)
    try:
        if pidfile.is_alive(process):
            await done.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


# -- logs -----------------------------------------------------------------------------------------------------------
def rotate(path: Path, *, limit: int = LOG_LIMIT, kept: int = LOGS_KEPT) -> bool:
    """Copies a log past `limit` to .1 (the older ones move up) and empties it; writers append, so none is lost but
    lines written within the copy."""
    if not path.exists() or path.stat().st_size <= limit:
        return False
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    with path.open("rb+") as live:
        path.with_name(f"{path.name}.1").write_bytes(live.read())
        live.truncate(0)
    return True


async def _rotate_all(paths: Sequence[Path]) -> None:
    while True:
        for path in paths:
            await asyncio.to_thread(rotate, path)
        await asyncio.sleep(30)


# -- the daemon -----------------------------------------------------------------------------------------------------
async def supervise(settings: Settings, wanted: Sequence[Child]) -> None:
    """Until SIGTERM (children stopped) or SIGUSR1 (children left alone)."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        loop.add_signal_handler(number, asked.put_nowait, number)
    keepers = [Keeper(child, pid_path(settings, child.name)) for child in wanted]
    logs = [*(child.log for child in wanted), settings.log_dir / "supervisor.log"]
    tasks = [asyncio.create_task(keeper.keep(), name=keeper.child.name) for keeper in keepers]
    tasks.append(asyncio.create_task(_rotate_all(logs), name="logs"))
    waiting = asyncio.create_task(asked.get())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for task, result in zip(tasks, results, strict=True):
        if isinstance(result, Exception):
            log.error("keeping %s failed", task.get_name(), exc_info=result)
    if waiting.done() and waiting.result() is signal.SIGUSR1:
        log.info("leaving the children running")
        return
    for keeper in reversed(keepers):
        log.info("stopping %s", keeper.child.name)
        await keeper.stop()


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `settings_flags` writes. The CLI's verbs take the same ones."""
    parser.add_argument("--data-dir", type=Path, default=Path("/var/lib/kubewheel"), help="what must last")
    parser.add_argument("--run-dir", type=Path, default=Path("/run/kubewheel"), help="sockets and pids")
    parser.add_argument("--log-dir", type=Path, default=Path("/var/log/kubewheel"), help="logs of our processes")
    parser.add_argument("--node-name", default="", help="name of this node (default: the host's)")
    parser.add_argument("--node-ip", default="", help="address of this node (default: that of the default route)")
    parser.add_argument("--secure-port", type=int, default=6443, help="port of the API server")
    parser.add_argument("--kubelet-port", type=int, default=10250, help="port of the kubelet")
    parser.add_argument("--pod-cidr", default="10.244.0.0/16", help="addresses of pods")
    parser.add_argument("--service-cidr", default="10.96.0.0/16", help="addresses of Services")
    parser.add_argument("--domain", default="cluster.local", help="cluster domain")
    parser.add_argument("--controllers", default="*", help="which controllers run ('*', 'name', '-name')")
    parser.add_argument("--container-runtime-endpoint", default="",
                        help="use this CRI socket (unix://…) instead of our own containerd")


def settings_of(options: argparse.Namespace) -> Settings:
    values = {name: getattr(options, name) for name in Settings.__dataclass_fields__ if hasattr(options, name)}
    if not values.get("node_name"):
        values.pop("node_name", None)
    for name in ("data_dir", "run_dir", "log_dir"):
        if name in values:
            values[name] = Path(values[name]).absolute()
    return Settings(**values)


def main() -> int:
    parser = argparse.ArgumentParser(prog="kubewheel-supervisor")
    add_settings_flags(parser)
    settings = settings_of(parser.parse_args())
    if os.fork():
        os._exit(0)  # whoever started us goes on; the child is no session leader and can get no terminal
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if alive(settings) is not None:
        log.error("another supervisor runs")
        return 1
    me = pidfile.of(os.getpid(), tuple(sys.argv))
    assert me is not None
    pidfile.write(pid_path(settings, NAME), me)
    try:
        asyncio.run(supervise(settings, children(settings)))
    finally:
        pid_path(settings, NAME).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
