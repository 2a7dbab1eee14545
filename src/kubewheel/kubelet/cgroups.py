"""Pod cgroups by the cgroupfs driver, v1 and v2: kubepods/{burstable,besteffort}/pod<uid> with limits.

In: pods. Out: directories below /sys/fs/cgroup; `parent_of` names them to the runtime. Called by: pod_worker.py,
kubelet.py, stats. Containers' own cgroups below are the runtime's.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
from pathlib import Path
from typing import Any

from kubewheel.kubelet.runtime import resources

log = logging.getLogger(__name__)

Object = dict[str, Any]
V1_CONTROLLERS = ("cpu", "memory", "pids", "hugetlb")


class Cgroups:
    def __init__(self, *, root: str = "/", mount: str = "/sys/fs/cgroup") -> None:
        self.mount = Path(mount)
        self.base = "/" + root.strip("/") if root.strip("/") else ""
        self.is_v2 = (self.mount / "cgroup.controllers").exists()

    def parent_of(self, uid: str, qos: str) -> str:
        middle = "" if qos == "Guaranteed" else f"/{qos.lower()}"
        return f"{self.base}/kubepods{middle}/pod{uid}"

    def setup(self, *, cpu_milli: int, memory: int) -> None:
        """The kubepods tree, with the node's allocatable as its limit."""
        top = f"{self.base}/kubepods"
        for path in (top, f"{top}/burstable", f"{top}/besteffort"):
            self._make(path)
        self._write_cpu(top, resources.shares(cpu_milli), 0)
        self._write_memory(top, memory)
        self._write_cpu(f"{top}/besteffort", resources.MIN_SHARES, 0)

    def apply(self, pod: Object, qos: str) -> None:
        """Makes the pod's cgroup and sets its limits; also after a resize."""
        path = self.parent_of(pod["metadata"]["uid"], qos)
        self._make(path)
        totals = resources.pod_totals(pod)
        cpu_shares = resources.MIN_SHARES if qos == "BestEffort" else resources.shares(totals["cpu_request"])
        self._write_cpu(path, cpu_shares, resources.quota(totals["cpu_limit"]))
        if totals["memory_limit"]:
            self._write_memory(path, totals["memory_limit"])

    def remove(self, uid: str) -> bool:
        """Ends what is left in the pod's cgroups and removes them. False while something is still there."""
        done = True
        for qos in ("Guaranteed", "Burstable", "BestEffort"):
            for directory in self._directories(self.parent_of(uid, qos)):
                done = self._remove_tree(directory) and done
        return done

    def remove_all(self) -> bool:
        """The whole kubepods tree (the node is being taken down), and --cgroup-root where it is not the root."""
        done = True
        for directory in self._directories(self.base or "/kubepods"):
            done = self._remove_tree(directory) and done
        return done

    def pod_uids(self) -> set[str]:
        out = set()
        for qos in ("Guaranteed", "Burstable", "BestEffort"):
            parent = self.parent_of("", qos).rsplit("/", 1)[0]
            for directory in self._directories(parent):
                out |= {p.name[3:] for p in directory.iterdir() if p.is_dir() and p.name.startswith("pod")}
        return out

    # -- files -----------------------------------------------------------------------------------------------
    def path(self, controller: str, cgroup: str) -> Path:
        return self.mount / cgroup.lstrip("/") if self.is_v2 else self.mount / controller / cgroup.lstrip("/")

    def _directories(self, cgroup: str) -> list[Path]:
        if self.is_v2:
            candidates = [self.mount]
        else:
            candidates = [p for p in self.mount.iterdir() if p.is_dir()]
        return [d for p in candidates if (d := p / cgroup.lstrip("/")).is_dir()]

    def _make(self, cgroup: str) -> None:
        if not self.is_v2:
            for controller in V1_CONTROLLERS:
                if (self.mount / controller).is_dir():
                    self.path(controller, cgroup).mkdir(parents=True, exist_ok=True)
            return
        current = self.mount
        for part in cgroup.strip("/").split("/"):
            self._enable(current)
            current = current / part
            current.mkdir(exist_ok=True)
        self._enable(current)

    def _enable(self, directory: Path) -> None:
        available = (directory / "cgroup.controllers").read_text().split()
        enabled = (directory / "cgroup.subtree_control").read_text().split()
        wanted = [f"+{c}" for c in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")
                  if c in available and c not in enabled]
        if wanted:
            try:
                (directory / "cgroup.subtree_control").write_text(" ".join(wanted))
            except OSError as e:
                log.warning("cannot enable %s in %s: %s", wanted, directory, e)

    def _write_cpu(self, cgroup: str, cpu_shares: int, cpu_quota: int) -> None:
        if self.is_v2:
            self._write(self.path("cpu", cgroup) / "cpu.weight", str(resources.weight(cpu_shares)))
            limit = str(cpu_quota) if cpu_quota else "max"
            self._write(self.path("cpu", cgroup) / "cpu.max", f"{limit} {resources.PERIOD}")
            return
        self._write(self.path("cpu", cgroup) / "cpu.shares", str(cpu_shares))
        self._write(self.path("cpu", cgroup) / "cpu.cfs_quota_us", str(cpu_quota or -1))

    def _write_memory(self, cgroup: str, limit: int) -> None:
        name = "memory.max" if self.is_v2 else "memory.limit_in_bytes"
        self._write(self.path("memory", cgroup) / name, str(limit))

    def _write(self, file: Path, text: str) -> None:
        """A controller the host lacks is no error: the limit then does not exist, as with upstream's."""
        if not file.exists():
            return
        try:
            file.write_text(text)
        except OSError as e:
            log.warning("cannot write %s to %s: %s", text, file, e)

    def _remove_tree(self, directory: Path) -> bool:
        try:
            children = [p for p in directory.iterdir() if p.is_dir()]
        except FileNotFoundError:
            return True  # the runtime was quicker
        for child in children:
            self._remove_tree(child)
        try:
            for pid in (directory / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        except (OSError, ProcessLookupError) as e:
            log.debug("cgroup %s: %s", directory, e)
        try:
            directory.rmdir()
        except OSError as e:
            if e.errno == errno.ENOENT:
                return True
            log.debug("cgroup %s stays for now: %s", directory, e)
            return False
        return True

    def read_number(self, controller: str, cgroup: str, file: str) -> int | None:
        try:
            text = (self.path(controller, cgroup) / file).read_text().strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else None
