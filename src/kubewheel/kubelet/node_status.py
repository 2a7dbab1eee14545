"""The Node object: registered, kept up to date, and its Lease renewed.

In: the host (proc, uname, disk), the runtime's status. Out: Node, Node status, Lease in kube-node-lease.
Called by: kubelet.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubewheel.api import codec, errors, quantity
from kubewheel.client.client import STRATEGIC_PATCH, Client
from kubewheel.client.events import Recorder
from kubewheel.kubelet.cri import Cri, CriError
from kubewheel.kubelet.deps import NodeFacts
from kubewheel.kubelet.options import VERSION, Options
from kubewheel.kubelet.pleg import Pleg
from kubewheel.lib.clock import Clock, rfc3339, rfc3339_micro

log = logging.getLogger(__name__)

Object = dict[str, Any]

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
PLEG_THRESHOLD = 180.0
RUNTIME_THRESHOLD = 30.0
LEASE_NAMESPACE = "kube-node-lease"
MAX_IMAGES = 50
LOOK_AGAIN, READY_GRACE = 0.2, 120.0  # seconds: how often, and how long, a node that came up is looked at until it is ready


def host_address(options: Options) -> str:
    """--node-ip, or the address the default route leaves from, or loopback."""
    if options.node_ip:
        return options.node_ip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a UDP connect sends nothing: it only picks the route
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def memory_total() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def capacity(options: Options) -> Object:
    disk = shutil.disk_usage(options.root_dir)
    out = {"cpu": str(os.cpu_count() or 1), "ephemeral-storage": f"{disk.total // 1024}Ki",
           "memory": f"{memory_total() // 1024}Ki", "pods": str(options.max_pods)}
    pages = Path("/sys/kernel/mm/hugepages")
    for directory in sorted(pages.iterdir()) if pages.is_dir() else ():
        size = int(directory.name.removeprefix("hugepages-").removesuffix("kB"))
        number = int((directory / "nr_hugepages").read_text())
        unit = f"{size // 1048576}Gi" if size >= 1048576 else f"{size // 1024}Mi"
        total = number * size
        whole_megabytes = f"{total // 1024}Mi" if total % 1024 == 0 else f"{total}Ki"
        out[f"hugepages-{unit}"] = whole_megabytes if total else "0"
    return out


def allocatable(whole: Object, options: Options) -> Object:
    """Capacity less what is reserved and the hard eviction thresholds."""
    out = dict(whole)
    reserved: dict[str, int] = {}
    for source in (options.system_reserved, options.kube_reserved):
        for name, amount in source.items():
            reserved[name] = reserved.get(name, 0) + quantity.milli(amount)
    hard = options.eviction_hard.get("memory.available", "")
    if hard and not hard.endswith("%"):
        reserved["memory"] = reserved.get("memory", 0) + quantity.milli(hard)
    disk = options.eviction_hard.get("nodefs.available", "")
    if disk.endswith("%"):
        share = quantity.milli(whole["ephemeral-storage"]) * int(disk[:-1]) // 100
        reserved["ephemeral-storage"] = reserved.get("ephemeral-storage", 0) + share
    for name, millis in reserved.items():
        if name not in out:
            continue
        left = max(quantity.milli(out[name]) - millis, 0)
        if name == "cpu":
            out[name] = quantity.from_milli(left)
        elif name == "ephemeral-storage":
            out[name] = str(left // 1000)
        else:
            out[name] = f"{left // 1000 // 1024}Ki"
    return out


def _first(*paths: str) -> str:
    for path in paths:
        try:
            return Path(path).read_text().strip()
        except OSError:
            continue
    return ""


def os_image() -> str:
    for line in _first("/etc/os-release", "/usr/lib/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Unknown"


@dataclass(slots=True)
class Pressure:
    memory: bool = False
    disk: bool = False
    pid: bool = False


class NodeStatus:
    def __init__(self, client: Client, cri: Cri, pleg: Pleg, options: Options, clock: Clock, events: Recorder,
                 facts: NodeFacts) -> None:
        self._client = client
        self._cri = cri
        self._pleg = pleg
        self._options = options
        self._clock = clock
        self._events = events
        self.facts = facts
        self.pressure = Pressure()
        self.runtime_version = ""
        self.synced = asyncio.Event()  # the first status is written
        self._reported = -1e9
        self.node: Object | None = None  # as the API server has it
        self._last: Object = {}
        self._runtime_seen = 0.0
        self._runtime_error = ""
        whole = capacity(options)
        self.capacity = whole
        facts.host_ips = (host_address(options),)
        facts.memory_capacity = memory_total()
        facts.allocatable = allocatable(whole, options)

    # -- what the node says ----------------------------------------------------------------------------------
    def node_object(self) -> Object:
        options = self._options
        arch = ARCHITECTURES.get(platform.machine(), platform.machine())
        labels = {"beta.kubernetes.io/arch": arch, "beta.kubernetes.io/os": "linux",
                  "kubernetes.io/arch": arch, "kubernetes.io/hostname": self.hostname, "kubernetes.io/os": "linux"}
        annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
        if options.node_ip:
            annotations["alpha.kubernetes.io/provided-node-ip"] = options.node_ip
        spec: Object = {}
        if options.pod_cidr:
            spec |= {"podCIDR": options.pod_cidr, "podCIDRs": [options.pod_cidr]}
        if options.provider_id:
            spec["providerID"] = options.provider_id
        if options.register_with_taints:
            spec["taints"] = [dict(t) for t in options.register_with_taints]
        if not options.register_schedulable:
            spec["unschedulable"] = True
        return {"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": options.node_name, "labels": labels | options.node_labels,
                             "annotations": annotations}, "spec": spec}

    @property
    def hostname(self) -> str:
        return self._options.hostname_override or self._options.node_name

    async def status(self, old: Object) -> Object:
        now = rfc3339(self._clock.now())
        await self._ask_runtime()
        images = await self._images()
        uname = os.uname()
        info = {
            "machineID": _first("/etc/machine-id"), "systemUUID": _first("/sys/class/dmi/id/product_uuid"),
            "bootID": _first("/proc/sys/kernel/random/boot_id"), "kernelVersion": uname.release,
            "osImage": os_image(), "containerRuntimeVersion": f"containerd://{self.runtime_version}",
            "kubeletVersion": VERSION, "kubeProxyVersion": "", "operatingSystem": "linux",
            "architecture": ARCHITECTURES.get(uname.machine, uname.machine),
            **({"swap": {"capacity": swap}} if (swap := _swap_total()) else {})}  # none is not written as 0: it is invalid
        return {
            "addresses": [*({"type": "InternalIP", "address": ip} for ip in self.facts.host_ips),
                          {"type": "Hostname", "address": self.hostname}],
            "capacity": dict(self.capacity), "allocatable": dict(self.facts.allocatable),
            "conditions": self._conditions(old, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._options.port}},
            "nodeInfo": info, "images": images,
            "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}}],
        }

    def _conditions(self, old: Object, now: str) -> list[Object]:
        before = {c["type"]: c for c in old.get("conditions") or ()}
        ready, reason, message = self._readiness()
        wanted = [
            ("MemoryPressure", self.pressure.memory,
             ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
             ("KubeletHasSufficientMemory", "kubelet has sufficient memory available")),
            ("DiskPressure", self.pressure.disk, ("KubeletHasDiskPressure", "kubelet has disk pressure"),
             ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
            ("PIDPressure", self.pressure.pid,
             ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
             ("KubeletHasSufficientPID", "kubelet has sufficient PID available")),
            ("Ready", ready, (reason, message), (reason, message)),
        ]
        out = []
        for type_, verdict, bad, good in wanted:
            word = "True" if verdict else "False"
            known = before.get(type_)
            changed = known is None or known.get("status") != word
            reason, message = bad if verdict else good
            out.append({"type": type_, "status": word, "lastHeartbeatTime": now,
                        "lastTransitionTime": now if changed or known is None else known["lastTransitionTime"],
                        "reason": reason, "message": message})
            if changed and self.synced.is_set():
                event = reason if type_ != "Ready" else ("NodeReady" if verdict else "NodeNotReady")
                self._event(event, f"Node {self._options.node_name} status is now: {event}")
        ours = {c["type"] for c in out}
        return out[:3] + [c for t, c in before.items() if t not in ours] + out[3:]

    def _readiness(self) -> tuple[bool, str, str]:
        loop_time = asyncio.get_running_loop().time()
        problems = []
        if self._runtime_error:
            problems.append(f"[container runtime is down: {self._runtime_error}]"
                            if loop_time - self._runtime_seen > RUNTIME_THRESHOLD else self._runtime_error)
        if self._pleg.last_relist and loop_time - self._pleg.last_relist > PLEG_THRESHOLD:
            age = loop_time - self._pleg.last_relist
            problems.append(f"PLEG is not healthy: pleg was last seen active {age:.0f}s ago; threshold is 3m0s")
        if not self.facts.network_ready:
            problems.append("container runtime network not ready: NetworkReady=false "
                            f"{self.facts.network_message}")
        if problems:
            text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            return False, "KubeletNotReady", text
        return True, "KubeletReady", "kubelet is posting ready status"

    async def _ask_runtime(self) -> None:
        try:
            if not self.runtime_version:
                self.runtime_version = (await self._cri.version())["runtime_version"]
            answer = await self._cri.status()
        except CriError as e:
            self._runtime_error = str(e)
            return
        self._runtime_seen = asyncio.get_running_loop().time()
        self._runtime_error = ""
        for condition in (answer.get("status") or {}).get("conditions") or ():
            if condition["type"] == "RuntimeReady" and not condition["status"]:
                self._runtime_error = (f"container runtime not ready: RuntimeReady=false "
                                       f"reason:{condition['reason']} message:{condition['message']}")
            if condition["type"] == "NetworkReady":
                self.facts.network_ready = condition["status"]
                self.facts.network_message = f"reason:{condition['reason']} message:{condition['message']}"

    async def _images(self) -> list[Object]:
        try:
            found = await self._cri.list_images()
        except CriError:
            return []  # the Ready condition tells of it
        found.sort(key=lambda i: -i["size"])
        return [{"names": [*i["repo_digests"], *i["repo_tags"]][:5], "sizeBytes": i["size"]}
                for i in found[:MAX_IMAGES] if i["repo_tags"] or i["repo_digests"]]

    # -- writing ---------------------------------------------------------------------------------------------
    async def run(self) -> None:
        self._event("Starting", "Starting kubelet.")
        begun, first = asyncio.get_running_loop().time(), True
        while True:
            try:
                await self._write()
                self.synced.set()
                # A node that comes up is told of as soon as it is ready, as upstream.
                first = first and not self._is_ready() and asyncio.get_running_loop().time() < begun + READY_GRACE
                delay = LOOK_AGAIN if first else self._options.node_status_update_frequency
            except (errors.StatusError, OSError, TimeoutError) as e:
                log.warning("node status not written: %s", e)
                delay = 1.0
            await asyncio.sleep(delay)

    def _is_ready(self) -> bool:
        return any(c["type"] == "Ready" and c["status"] == "True" for c in self._last.get("conditions", ()))

    async def _write(self) -> None:
        name = self._options.node_name
        node = await self._client.find("nodes", name)
        if node is None:
            if not self._options.register_node:
                raise errors.not_found("nodes", name)
            node = await self._client.create("nodes", self.node_object())
        elif not self._last:
            node = await self._reconcile_labels(node)
        self.node = node
        old = node.get("status") or {}
        fresh = await self.status(old)
        loop_time = asyncio.get_running_loop().time()
        same = self._without_beats(fresh) == self._without_beats(old)
        if same and loop_time - self._reported < self._options.node_status_report_frequency:
            return
        patch = {k: v for k, v in fresh.items() if old.get(k) != v}
        if any(address not in fresh["addresses"] for address in old.get("addresses") or ()):
            patch["addresses"] = [*fresh["addresses"], {"$patch": "replace"}]
        await self._client.patch("nodes", name, {"status": patch}, subresource="status", type=STRATEGIC_PATCH)
        self._last = fresh
        self._reported = loop_time

    async def _reconcile_labels(self, node: Object) -> Object:
        """A node that was registered before gets this kubelet's own labels again."""
        wanted = self.node_object()["metadata"]
        have = node["metadata"]
        if all((have.get(part) or {}).get(k) == v for part in ("labels", "annotations")
               for k, v in wanted[part].items()):
            return node
        patch = {"metadata": {"labels": wanted["labels"], "annotations": wanted["annotations"]}}
        return await self._client.patch("nodes", have["name"], patch, type=STRATEGIC_PATCH)

    @staticmethod
    def _without_beats(status: Object) -> Object:
        out = codec.copy({k: status.get(k) for k in ("addresses", "capacity", "allocatable", "conditions",
                                                      "daemonEndpoints", "nodeInfo", "images")})
        for condition in out.get("conditions") or ():
            condition.pop("lastHeartbeatTime", None)
        return out

    async def run_lease(self) -> None:
        name, seconds = self._options.node_name, self._options.node_lease_duration_seconds
        delay = 0.0
        while True:
            await asyncio.sleep(delay)
            try:
                await self._renew(name, seconds)
                delay = seconds * 0.25
            except (errors.StatusError, OSError, TimeoutError) as e:
                log.warning("node lease not renewed: %s", e)
                delay = min(max(delay, 0.2) * 2, 7.0)

    async def _renew(self, name: str, seconds: int) -> None:
        now = rfc3339_micro(self._clock.now())
        spec = {"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": now}
        lease = await self._client.find("leases.coordination.k8s.io", name, namespace=LEASE_NAMESPACE)
        if lease is not None:
            fresh = codec.copy(lease)
            fresh["spec"] = {**(fresh.get("spec") or {}), **spec}
            await self._client.update("leases.coordination.k8s.io", fresh)
            return
        meta: Object = {"name": name, "namespace": LEASE_NAMESPACE}
        node = await self._client.find("nodes", name)
        if node is not None:
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": name,
                                        "uid": node["metadata"]["uid"]}]
        await self._client.create("leases.coordination.k8s.io", {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec})

    def _event(self, reason: str, message: str) -> None:
        name = self._options.node_name
        # Upstream's node events carry the node's name as the uid.
        self._events.event({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}},
                           "Normal", reason, message)


def _swap_total() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("SwapTotal:"):
            return int(line.split()[1]) * 1024
    return 0
