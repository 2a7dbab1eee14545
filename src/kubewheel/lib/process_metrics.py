"""process_*: what this process takes of the machine, under the Prometheus client's names.

In: /proc/self. Out: metrics in lib/metrics.REGISTRY. Called by: every component that serves /metrics, once (`register`).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kubewheel.lib import metrics

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat() -> list[str]:
    """The fields of /proc/self/stat behind the command's name (which may hold blanks)."""
    return Path("/proc/self/stat").read_text().rpartition(")")[2].split()


def started() -> float:
    """Epoch seconds at which the process was started."""
    booted = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return booted + int(_stat()[19]) / _TICKS


def _alone(read: Callable[[], float]) -> dict[tuple[str, ...], float]:
    return {(): read()}


def register(registry: metrics.Registry = metrics.REGISTRY) -> None:
    began = started()

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    for name, kind, help_, read in (
        ("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu),
        ("process_max_fds", "gauge", "Maximum number of open file descriptors.",
         lambda: float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])),
        ("process_open_fds", "gauge", "Number of open file descriptors.", lambda: float(len(os.listdir("/proc/self/fd")))),
        ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", lambda: float(_stat()[21]) * _PAGE),
        ("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", lambda: began),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", lambda: float(_stat()[20])),
    ):
        registry.samples(name, help_, (), partial(_alone, read), kind=kind)
