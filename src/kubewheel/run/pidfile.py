"""Which process is ours: pid files that hold the start time too, so that a reused pid is never signalled.

In: a pid. Out: JSON files {pid, started, argv}; None: it is gone. Called by: run/supervisor, teardown, cli.
"""

from __future__ import annotations

import json
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    started: int  # clock ticks since boot, field 22 of /proc/PID/stat
    argv: tuple[str, ...] = ()


def start_time(pid: int) -> int | None:
    """None when there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command's name may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def of(pid: int, argv: tuple[str, ...] = ()) -> Process | None:
    started = start_time(pid)
    return None if started is None else Process(pid, started, argv)


def write(path: Path, process: Process) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(
        {"pid": process.pid, "started": process.started, "boot": boot_id(), "argv": list(process.argv)}))
    fresh.replace(path)


def read(path: Path) -> Process | None:
    """The process the file names if it is alive and the same one; else None."""
    try:
        said = json.loads(path.read_text())
        process = Process(int(said["pid"]), int(said["started"]), tuple(said.get("argv", ())))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # no file, or one torn by a crash: nobody we may touch
    if said.get("boot") != boot_id() or not is_alive(process):
        return None
    return process


def is_alive(process: Process) -> bool:
    return start_time(process.pid) == process.started


def send(process: Process, number: signal.Signals) -> bool:
    """Signals exactly this process (through a pidfd, checked after opening). False when it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def wait_gone(process: Process, seconds: float) -> bool:
    """Blocks until it has ended; False when it still lives after `seconds`."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(process):
            return True
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def stop(process: Process, *, grace: float) -> None:
    """SIGTERM, and SIGKILL after `grace`."""
    if send(process, signal.SIGTERM) and not wait_gone(process, grace):
        send(process, signal.SIGKILL)
        wait_gone(process, 5)
