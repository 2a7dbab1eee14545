"""Nodes without machines: each registers, renews its Lease, reports, and takes the pods bound to it through life.

In: the shared pods cache. Out: Node, Lease and pod status writes like a kubelet's (life.py decides, this file acts).
Called by: run (simulated fleets), testing.cluster, benchmarks.

Nodes share one Kubelets: one handler on one cache, a queue of dirty keys and a few workers, so that 5,000 nodes are
a dictionary and 5,000 timers, not 5,000 tasks.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.cache import Cache, Caches
from kubewheel.client.client import STRATEGIC_PATCH, Client
from kubewheel.lib.clock import Clock, rfc3339, rfc3339_micro
from kubewheel.lib.supervise import Tasks
from kubewheel.node import life as lives
from kubewheel.node.life import Latency, Life
from kubewheel.node.output import Output

log = logging.getLogger(__name__)

VERSION = "v1.37.0"
CAPACITY: Mapping[str, str] = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
LEASE_NAMESPACE = "kube-node-lease"
RENEW_SECONDS, LEASE_SECONDS, REPORT_SECONDS = 10.0, 40, 300.0
RETRY_SECONDS = 1.0

Key = tuple[str, ...]


class Kubelets:
    """What all simulated nodes of one process share. Work is keyed: one key is never worked on twice at once."""

    def __init__(self, caches: Caches, *, workers: int = 16) -> None:
        self.pods: Cache = caches.get("pods")
        self.nodes: dict[str, SimulatedNode] = {}
        self._workers = workers
        self._queue: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._busy: set[Key] = set()
        self._wake = asyncio.Event()
        self._tasks = Tasks("simulated-nodes")
        self._started = False
        self._next_ip = 0
        self._next_node = 0

    def start(self) -> None:
        if self._started:
            return
        self._started = True
        self.pods.subscribe(self._pod_changed)
        for number in range(self._workers):
            self._tasks.spawn(f"worker-{number}", self._work())

    async def aclose(self) -> None:
        for node in self.nodes.values():
            node.forget_timers()
        await self._tasks.aclose()

    def new_pod_ip(self) -> str:
        """Out of 10.128.0.0/9, in order of starting; no overlap with the real pod range 10.244.0.0/16 is needed,
        for nothing is ever sent there."""
        self._next_ip += 1
        return _address((10 << 24) + (128 << 16), self._next_ip)

    def new_node_ip(self) -> str:
        self._next_node += 1
        return _address((172 << 24) + (24 << 16), self._next_node)

    def touch(self, key: Key) -> None:
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._busy:
            self._queue.append(key)
            self._wake.set()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        node = self.nodes.get(pod["spec"].get("nodeName") or "")
        if node is not None and node.is_alive:
            meta = pod["metadata"]
            self.touch(("pod", node.name, meta["namespace"], meta["name"]))

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            key = self._queue.popleft()
            self._dirty.discard(key)
            self._busy.add(key)
            try:
                await self._work_on(key)
            finally:
                self._busy.discard(key)
                if key in self._dirty:
                    self._queue.append(key)
                    self._wake.set()

    async def _work_on(self, key: Key) -> None:
        node = self.nodes.get(key[1])
        if node is None or not node.is_alive:
            return
        try:
            await node.work(key)
        except (errors.StatusError, OSError) as e:
            log.debug("simulated node %s: %s: %s", key[1], key, e)
            node.later(key, RETRY_SECONDS)


def _address(base: int, offset: int) -> str:
    number = base + offset
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


class SimulatedNode:
    """A kubelet to the API server's eye. `start()` registers it; `stop()` is a silent death; `aclose()` the end."""

    def __init__(
        self, client: Client, caches: Caches, clock: Clock, random: random_module.Random, name: str, *,
        capacity: Mapping[str, str] | None = None, latency: Latency | None = None,
        labels: Mapping[str, str] | None = None, taints: Iterable[Mapping[str, str]] = (),
        images: Iterable[Mapping[str, Any]] = (), kubelets: Kubelets | None = None,
    ) -> None:
        self.client, self.clock, self.random, self.name = client, clock, random, name
        self.capacity = {**CAPACITY, **(capacity or {})}
        self.latency = latency or Latency()
        self.labels, self.taints = dict(labels or {}), [dict(t) for t in taints]
        self.images = [dict(i) for i in images]
        self._own_kubelets = kubelets is None
        self._kubelets = kubelets or Kubelets(caches, workers=2)
        self.ip = self._kubelets.new_node_ip()
        self.is_alive = False
        self._ready = True
        self._lives: dict[tuple[str, str], Life] = {}  # by namespace and name; a Life knows its pod's UID
        self._outputs: dict[tuple[str, str, int], Output] = {}  # by the pod's UID, container, run
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._lease: Object | None = None
        self._uid = ""
        self._last_report = 0.0
        self._ready_since = ""

    # -- what a test tells it -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Registers (or takes up the registered Node again) and looks after the pods bound to it."""
        self._kubelets.nodes[self.name] = self
        await self._register()
        self.is_alive = True
        self._kubelets.start()
        await self._kubelets.pods.wait_synced()
        for pod in self._own_pods():
            self._touch_pod(pod)
        self._kubelets.touch(("lease", self.name))
        self.later(("status", self.name), REPORT_SECONDS * (0.5 + self.random.random() / 2))

    def stop(self) -> None:
        """Dies silently: no more leases, no reports; its pods stay as they were. `start()` brings it back."""
        self.is_alive = False
        self.forget_timers()

    async def not_ready(self, message: str = "container runtime is down") -> None:
        """Reports Ready=False (and goes on renewing its Lease, as a kubelet whose runtime is gone does)."""
        self._ready = False
        await self._report(message)

    async def ready(self) -> None:
        self._ready = True
        await self._report("")

    def crash(self, namespace: str, name: str, container: str = "", *, exit_code: int = 1, reason: str = "") -> None:
        """One container (the first by default) exits; its restart policy says what follows."""
        pod, life = self._living(namespace, name)
        target = container or next(iter(life.containers))
        lives.end(pod, life.containers[target], self.clock.now(), exit_code, reason)
        self._touch_pod(pod)

    def fail_pod(self, namespace: str, name: str, *, reason: str = "Error", message: str = "",
                 exit_code: int = 1) -> None:
        """The whole pod is Failed, for good (as after an eviction by the kubelet)."""
        pod, life = self._living(namespace, name)
        lives.fail(life, self.clock.now(), reason, message, exit_code)
        self._touch_pod(pod)

    def log(self, namespace: str, name: str, text: str | bytes, *, container: str = "", stream: str = "stdout") -> None:
        """A container (the first by default) says something: it is in the log of its current run."""
        pod, life = self._living(namespace, name)
        target = container or pod["spec"]["containers"][0]["name"]
        generation = max(self.generation(namespace, name, target), 1)
        self.output(pod, target, generation).write(text, stream=stream, now=self.clock.now())

    # -- what its server asks (host.py) -------------------------------------------------------------------------
    def pods(self) -> list[Object]:
        return self._own_pods()

    def find_pod(self, namespace: str, name: str) -> Object | None:
        pod = self._kubelets.pods.get(namespace, name)
        return pod if pod is not None and pod["spec"].get("nodeName") == self.name else None

    def generation(self, namespace: str, name: str, container: str) -> int:
        """Which run of the container this is, from 1; 0 before the first. Init containers and sidecars run once."""
        life = self._lives.get((namespace, name))
        if life is None:
            return 0
        if container in life.containers:
            return life.containers[container].generation
        return int(any(c.generation for c in life.containers.values()))

    def is_running(self, namespace: str, name: str, container: str, generation: int) -> bool:
        life = self._lives.get((namespace, name))
        if life is None or life.gone or not self.is_alive:
            return False
        if container in life.containers:
            state = life.containers[container]
            return state.generation == generation and state.started is not None and state.finished is None
        pod = self.find_pod(namespace, name)
        specs = {c["name"]: c for c in (pod or {}).get("spec", {}).get("initContainers") or ()}
        return container not in specs or specs[container].get("restartPolicy") == "Always"

    def output(self, pod: Object, container: str, generation: int) -> Output:
        return self._outputs.setdefault((pod["metadata"]["uid"], container, generation), Output())

    async def aclose(self) -> None:
        self.stop()
        self._kubelets.nodes.pop(self.name, None)
        if self._own_kubelets:
            await self._kubelets.aclose()

    # -- the queue's side ---------------------------------------------------------------------------------------
    def later(self, key: Key, seconds: float) -> None:
        """Touches the key after a while; an earlier wish for it is replaced."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(max(seconds, 0.0), self._due, key)

    def forget_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def work(self, key: Key) -> None:
        kinds: dict[str, Callable[[], Awaitable[None]]] = {"lease": self._renew, "status": self._report}
        if key[0] == "pod":
            await self._sync_pod(key)
        else:
            await kinds[key[0]]()

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._kubelets.touch(key)

    def _touch_pod(self, pod: Object) -> None:
        self._kubelets.touch(("pod", self.name, pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _own_pods(self) -> list[Object]:
        return [p for p in self._kubelets.pods.list() if p["spec"].get("nodeName") == self.name]

    def _living(self, namespace: str, name: str) -> tuple[Object, Life]:
        pod = self._kubelets.pods.get(namespace, name)
        life = self._lives.get((namespace, name))
        if pod is None or life is None or life.uid != pod["metadata"]["uid"]:
            raise KeyError(f"node {self.name} does not run pod {namespace}/{name}")
        return pod, life

    # -- pods ---------------------------------------------------------------------------------------------------
    async def _sync_pod(self, key: Key) -> None:
        _, _, namespace, name = key
        pod = self._kubelets.pods.get(namespace, name)
        if pod is None or pod["spec"].get("nodeName") != self.name:
            self._forget(self._lives.pop((namespace, name), None))
            return
        now, life = self.clock.now(), self._lives.get((namespace, name))
        if life is None or life.uid != pod["metadata"]["uid"]:
            self._forget(life)
            ip = self.ip if pod["spec"].get("hostNetwork") else self._kubelets.new_pod_ip()
            life = self._lives[namespace, name] = lives.begin(pod, ip=ip, now=now)
        then = lives.advance(pod, life, now, self.latency)
        if then is not None:
            self.later(key, then - now)
        status = lives.status_of(pod, life, now, host_ip=self.ip)
        if status["phase"] != "Pending" or life.written is not None:
            await self._write_status(pod, life, status)
        if life.gone:
            await self._delete(pod)

    def _forget(self, life: Life | None) -> None:
        """The logs of a pod that is gone."""
        if life is not None:
            for key in [k for k in self._outputs if k[0] == life.uid]:
                del self._outputs[key]

    async def _write_status(self, pod: Object, life: Life, status: Object) -> None:
        if status == life.written:
            return
        meta = pod["metadata"]
        patch = {"metadata": {"uid": meta["uid"]}, "status": status}
        try:
            await self.client.patch("pods", meta["name"], patch, namespace=meta["namespace"], subresource="status",
                                    type=STRATEGIC_PATCH)
        except errors.StatusError as e:
            if e.code not in (404, 409):  # gone, or another pod of that name: the cache will say so
                raise
            if e.code == 409:
                self.later(("pod", self.name, meta["namespace"], meta["name"]), RETRY_SECONDS)
            return
        life.written = status

    async def _delete(self, pod: Object) -> None:
        meta = pod["metadata"]
        try:
            await self.client.delete("pods", meta["name"], namespace=meta["namespace"], uid=meta["uid"], grace=0)
        except errors.StatusError as e:
            if e.code not in (404, 409):
                raise

    # -- the node itself ----------------------------------------------------------------------------------------
    def node_object(self) -> Object:
        labels = {
            "kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", **self.labels}
        return {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name, "labels": labels,
                         "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
            "spec": {"taints": self.taints} if self.taints else {},
            "status": self._status(""),
        }

    def _status(self, message: str) -> Object:
        now = rfc3339(self.clock.now())
        self._ready_since = self._ready_since or now
        calm = (("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"))
        conditions = [{"type": t, "status": "False", "reason": r, "message": m, "lastHeartbeatTime": now,
                       "lastTransitionTime": self._ready_since} for t, r, m in calm]
        conditions.append({
            "type": "Ready", "status": "True" if self._ready else "False",
            "reason": "KubeletReady" if self._ready else "KubeletNotReady",
            "message": message or ("kubelet is posting ready status" if self._ready else "kubelet is not ready"),
            "lastHeartbeatTime": now, "lastTransitionTime": self._ready_since})
        status: Object = {
            "capacity": dict(self.capacity), "allocatable": dict(self.capacity), "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": self.ip}, {"type": "Hostname", "address": self.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "kubeletVersion": VERSION, "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
                "osImage": "kubewheel simulated node", "kernelVersion": "", "machineID": self.name, "bootID": self.name,
                "systemUUID": self.name, "containerRuntimeVersion": "simulated://1.0"},
        }
        if self.images:
            status["images"] = self.images
        return status

    async def _register(self) -> None:
        try:
            node = await self.client.create("nodes", self.node_object())
        except errors.StatusError as e:
            if e.reason != "AlreadyExists":
                raise
            node = await self.client.get("nodes", self.name)
        self._uid = node["metadata"].get("uid", "")
        await self._report("")

    async def _report(self, message: str = "") -> None:
        before = self._ready_since
        status = self._status(message)
        ready = "True" if self._ready else "False"
        node = await self.client.find("nodes", self.name)
        if node is None:
            if self.is_alive:  # somebody deleted it: a kubelet registers itself again
                await self.client.create("nodes", self.node_object())
            return
        was = {c["type"]: c for c in (node.get("status") or {}).get("conditions") or ()}
        if was.get("Ready", {}).get("status") not in (None, ready):
            before = ""
        for condition in status["conditions"]:
            old = was.get(condition["type"], {})
            if old.get("status") == condition["status"]:
                condition["lastTransitionTime"] = old.get("lastTransitionTime") or condition["lastTransitionTime"]
            elif not before or old:
                condition["lastTransitionTime"] = rfc3339(self.clock.now())
        await self.client.patch("nodes", self.name, {"status": status}, subresource="status", type=STRATEGIC_PATCH)
        if self.is_alive:
            self.later(("status", self.name), REPORT_SECONDS)

    async def _renew(self) -> None:
        self.later(("lease", self.name), RENEW_SECONDS)
        stamp = rfc3339_micro(self.clock.now())
        if self._lease is None:
            self._lease = await self.client.find("leases.coordination.k8s.io", self.name, namespace=LEASE_NAMESPACE)
        if self._lease is None:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": self._uid}
            self._lease = await self.client.create("leases.coordination.k8s.io", {
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": self.name, "namespace": LEASE_NAMESPACE,
                             "ownerReferences": [owner] if self._uid else []},
                "spec": {"holderIdentity": self.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": stamp}})
            return
        lease, self._lease = self._lease, None  # a failed write reads it anew
        self._lease = await self.client.update(
            "leases.coordination.k8s.io", {**lease, "spec": {**lease["spec"], "renewTime": stamp,
                                                             "holderIdentity": self.name}})


async def fleet(
    client: Client, caches: Caches, clock: Clock, random: random_module.Random, *, count: int,
    prefix: str = "node-", capacity: Mapping[str, str] | None = None, latency: Latency | None = None,
    labels: Callable[[int], Mapping[str, str]] | Mapping[str, str] | None = None, start: bool = True,
    at_once: int = 16, kubelets: Kubelets | None = None, client_for: Callable[[str], Client] | None = None,
) -> list[SimulatedNode]:
    """`count` nodes named prefix0, prefix1 … on one Kubelets, registered `at_once` at a time. `labels` may be a
    function of the number (zones); `client_for` gives each node an identity of its own (system:node:<name>)."""
    shared = kubelets or Kubelets(caches)
    nodes = []
    for number in range(count):
        name = f"{prefix}{number}"
        extra = labels(number) if callable(labels) else labels
        nodes.append(SimulatedNode(
            client_for(name) if client_for else client, caches, clock, random, name, capacity=capacity,
            latency=latency, labels=extra, kubelets=shared))
    if start:
        limit = asyncio.Semaphore(at_once)

        async def start_one(node: SimulatedNode) -> None:
            async with limit:
                await node.start()

        await asyncio.gather(*(start_one(node) for node in nodes))
    return nodes
