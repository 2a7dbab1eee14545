"""What the node and its pods use: /stats/summary and the metrics endpoints.

In: CRI stats, cgroups, /proc. Out: the Summary dict (stats.k8s.io), Prometheus texts. Called by: server.py.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.kubelet import observed
from kubewheel.lib.clock import rfc3339

if TYPE_CHECKING:
    from kubewheel.kubelet.kubelet import Kubelet

Object = dict[str, Any]


def _value(item: Object | None, key: str) -> int:
    return int(((item or {}).get(key) or {}).get("value", 0))


class Stats:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._before: dict[str, tuple[int, float, int]] = {}  # key -> cpu nanoseconds, when, nanocores then
        self._started = kubelet.clock.now()

    def _nano_cores(self, key: str, total: int, now: float) -> int:
        """CPU rate since the last look, at least 0.5 s ago."""
        before = self._before.get(key)
        if before is not None and now - before[1] < 0.5:
            return before[2]
        rate = 0
        if before is not None and total >= before[0]:
            rate = int((total - before[0]) / (now - before[1]))
        self._before[key] = (total, now, rate)
        return rate

    async def summary(self) -> Object:
        now = self._kubelet.clock.now()
        stamp = rfc3339(now)
        pods: dict[str, Object] = {}
        for item in await self._kubelet.deps.cri.container_stats():
            labels = item["attributes"]["labels"]
            uid = labels.get(observed.POD_UID)
            if not uid:
                continue
            pod = pods.setdefault(uid, {
                "podRef": {"name": labels.get(observed.POD_NAME, ""),
                           "namespace": labels.get(observed.POD_NAMESPACE, ""), "uid": uid},
                "startTime": self._start_of(uid, stamp), "containers": []})
            pod["containers"].append(self._container(item, labels, now, stamp))
        for uid, pod in pods.items():
            self._add_pod_totals(uid, pod, stamp)
        return {"node": self._node(now, stamp), "pods": list(pods.values())}

    def _start_of(self, uid: str, default: str) -> str:
        worker = self._kubelet.workers.get(uid)
        return worker.status.get("startTime", default) if worker else default

    def _container(self, item: Object, labels: Object, now: float, stamp: str) -> Object:
        cpu, memory, layer = item.get("cpu"), item.get("memory"), item.get("writable_layer")
        total = _value(cpu, "usage_core_nano_seconds")
        identity = item["attributes"]["id"]
        return {
            "name": labels.get(observed.CONTAINER_NAME, ""),
            "startTime": self._start_of(labels[observed.POD_UID], stamp),
            "cpu": {"time": stamp, "usageNanoCores": self._nano_cores(identity, total, now),
                    "usageCoreNanoSeconds": total},
            "memory": {"time": stamp, "workingSetBytes": _value(memory, "working_set_bytes"),
                       "usageBytes": _value(memory, "usage_bytes"), "rssBytes": _value(memory, "rss_bytes"),
                       "availableBytes": _value(memory, "available_bytes"),
                       "pageFaults": _value(memory, "page_faults"),
                       "majorPageFaults": _value(memory, "major_page_faults")},
            "rootfs": {"time": stamp, "usedBytes": _value(layer, "used_bytes"),
                       "inodesUsed": _value(layer, "inodes_used")},
        }

    @staticmethod
    def _add_pod_totals(uid: str, pod: Object, stamp: str) -> None:
        for kind, keys in (("cpu", ("usageNanoCores", "usageCoreNanoSeconds")),
                           ("memory", ("workingSetBytes", "usageBytes", "rssBytes", "pageFaults", "majorPageFaults"))):
            pod[kind] = {"time": stamp} | {k: sum(c[kind].get(k, 0) for c in pod["containers"]) for k in keys}

    def _node(self, now: float, stamp: str) -> Object:
        total = _cpu_nanoseconds()
        facts = {k: int(v.split()[0]) * 1024 for k, _, v in (
            line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines()) if v.strip().endswith("kB")}
        available = facts.get("MemAvailable", 0)
        disk = shutil.disk_usage(self._kubelet.options.root_dir)
        inodes = os.statvfs(self._kubelet.options.root_dir)
        fs = {"time": stamp, "availableBytes": disk.free, "capacityBytes": disk.total, "usedBytes": disk.used,
              "inodesFree": inodes.f_ffree, "inodes": inodes.f_files, "inodesUsed": inodes.f_files - inodes.f_ffree}
        return {
            "nodeName": self._kubelet.options.node_name, "startTime": rfc3339(self._started),
            "cpu": {"time": stamp, "usageNanoCores": self._nano_cores("node", total, now),
                    "usageCoreNanoSeconds": total},
            "memory": {"time": stamp, "availableBytes": available,
                       "usageBytes": facts["MemTotal"] - facts.get("MemFree", 0),
                       "workingSetBytes": facts["MemTotal"] - available, "rssBytes": facts.get("AnonPages", 0)},
            "fs": fs, "runtime": {"imageFs": fs, "containerFs": fs},
            "rlimit": {"time": stamp, "maxpid": int(Path("/proc/sys/kernel/pid_max").read_text()),
                       "curproc": sum(1 for n in os.listdir("/proc") if n.isdigit())},
        }

    # -- Prometheus ------------------------------------------------------------------------------------------
    async def metrics(self, kind: str) -> str:
        if kind == "resource":
            return self._resource_metrics(await self.summary())
        if kind == "cadvisor":
            return self._cadvisor_metrics(await self.summary())
        if kind == "probes":
            return "# TYPE prober_probe_total counter\n" + "".join(
                f'prober_probe_total{{probe_type="{t}",result="{r}"}} {n}\n'
                for (t, r), n in self._kubelet.deps.probes.counts.items())
        workers = list(self._kubelet.workers.values())
        running = sum(len(w.observed.running()) for w in workers)
        return (f"# TYPE kubelet_running_pods gauge\nkubelet_running_pods {sum(not w.is_stopped for w in workers)}\n"
                f'# TYPE kubelet_running_containers gauge\nkubelet_running_containers{{container_state="running"}} '
                f"{running}\n# TYPE kubelet_node_name gauge\n"
                f'kubelet_node_name{{node="{self._kubelet.options.node_name}"}} 1\n'
                "# TYPE kubernetes_build_info gauge\n"
                'kubernetes_build_info{git_version="v1.37.0",major="1",minor="37"} 1\n')

    @staticmethod
    def _resource_metrics(summary: Object) -> str:
        node = summary["node"]
        out = ["# TYPE node_cpu_usage_seconds_total counter",
               f"node_cpu_usage_seconds_total {node['cpu']['usageCoreNanoSeconds'] / 1e9}",
               "# TYPE node_memory_working_set_bytes gauge",
               f"node_memory_working_set_bytes {node['memory']['workingSetBytes']}"]
        for name, kind, read in (
                ("container_cpu_usage_seconds_total", "counter", lambda c: c["cpu"]["usageCoreNanoSeconds"] / 1e9),
                ("container_memory_working_set_bytes", "gauge", lambda c: c["memory"]["workingSetBytes"])):
            out.append(f"# TYPE {name} {kind}")
            out += [f'{name}{{container="{c["name"]}",namespace="{p["podRef"]["namespace"]}",'
                    f'pod="{p["podRef"]["name"]}"}} {read(c)}' for p in summary["pods"] for c in p["containers"]]
        for name, kind, read in (
                ("pod_cpu_usage_seconds_total", "counter", lambda p: p["cpu"]["usageCoreNanoSeconds"] / 1e9),
                ("pod_memory_working_set_bytes", "gauge", lambda p: p["memory"]["workingSetBytes"])):
            out.append(f"# TYPE {name} {kind}")
            out += [f'{name}{{namespace="{p["podRef"]["namespace"]}",pod="{p["podRef"]["name"]}"}} {read(p)}'
                    for p in summary["pods"]]
        return "\n".join([*out, "# TYPE resource_scrape_error gauge", "resource_scrape_error 0", ""])

    @staticmethod
    def _cadvisor_metrics(summary: Object) -> str:
        out = []
        for name, kind, read in (
                ("container_cpu_usage_seconds_total", "counter", lambda c: c["cpu"]["usageCoreNanoSeconds"] / 1e9),
                ("container_memory_usage_bytes", "gauge", lambda c: c["memory"]["usageBytes"]),
                ("container_memory_working_set_bytes", "gauge", lambda c: c["memory"]["workingSetBytes"]),
                ("container_memory_rss", "gauge", lambda c: c["memory"]["rssBytes"]),
                ("container_fs_usage_bytes", "gauge", lambda c: c["rootfs"]["usedBytes"])):
            out.append(f"# TYPE {name} {kind}")
            out += [f'{name}{{container="{c["name"]}",namespace="{p["podRef"]["namespace"]}",'
                    f'pod="{p["podRef"]["name"]}"}} {read(c)}' for p in summary["pods"] for c in p["containers"]]
        return "\n".join([*out, ""])


def _cpu_nanoseconds() -> int:
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(int(w) for w in words[:8]) - int(words[3]) - int(words[4])
    return busy * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))
