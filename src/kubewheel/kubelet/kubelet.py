"""The kubelet, assembled: pods of this node in, containers and statuses out.

In: a client and caches, options. Out: `run()` for as long as the node lives. Called by: run/.

On start: the runtime is looked at, the node registered; pods the API server names are adopted as they run. What runs
without a pod is ended only after the first full list, so that a kubelet that cannot reach its server kills nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from typing import Any

from kubewheel.client.cache import Caches
from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.kubelet import admission, garbage, killing, runtime_events
from kubewheel.kubelet.cgroups import Cgroups
from kubewheel.kubelet.cri import Cri, CriError
from kubewheel.kubelet.deps import Deps, NodeFacts
from kubewheel.kubelet.eviction import Eviction
from kubewheel.kubelet.images import Images
from kubewheel.kubelet.node_status import NodeStatus
from kubewheel.kubelet.objects import WatchedObjects
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.pleg import Pleg
from kubewheel.kubelet.pod_worker import PodWorker
from kubewheel.kubelet.probes import Probes
from kubewheel.kubelet.static_pods import StaticPods
from kubewheel.kubelet.status_manager import StatusManager
from kubewheel.kubelet.volumes.manager import Volumes
from kubewheel.lib.clock import Clock
from kubewheel.lib.supervise import Tasks, keep_running

log = logging.getLogger(__name__)

Object = dict[str, Any]


class Kubelet:
    def __init__(self, client: Client, caches: Caches, clock: Clock, rng: random.Random, events: Recorder,
                 options: Options) -> None:
        self.options = options
        self.client = client
        self.clock = clock
        self.workers: dict[str, PodWorker] = {}
        self._caches = caches
        self._closed = False
        self._pods_known = asyncio.Event()  # every pod the API server names has its worker
        self._tasks = Tasks("kubelet")
        for directory in ("pods", "seccomp"):
            os.makedirs(os.path.join(options.root_dir, directory), exist_ok=True)
        cri = Cri(options.container_runtime_endpoint, timeout=options.runtime_request_timeout)
        pleg = Pleg(cri, period=options.pleg_period, on_change=self._poke)
        facts = NodeFacts()
        objects = WatchedObjects(client, rng, on_change=self._sources_changed)
        self.deps = Deps(
            client=client, cri=cri, pleg=pleg, statuses=StatusManager(client),
            volumes=Volumes(client, options, clock, rng, objects), objects=objects,
            images=Images(cri, client, events, options, clock),
            probes=Probes(cri, events, clock, on_change=self._poke), cgroups=Cgroups(root=options.cgroup_root),
            events=events, clock=clock, random=rng, options=options, node=facts, services=self._services,
            others=self._others, admit=self._admit)
        self.node_status = NodeStatus(client, cri, pleg, options, clock, events, facts)
        self.deps.volumes.allocatable = facts.allocatable
        self.static_pods = StaticPods(self)
        self.eviction = Eviction(self)

    # -- running ---------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Serves the node until cancelled. Containers go on when it ends."""
        from kubewheel.kubelet.server import serving_certificate
        from kubewheel.kubelet.server.kubelet_host import KubeletHost
        from kubewheel.kubelet.server.server import Server

        spawn = self._tasks.spawn
        loops = {
            "pleg": self.deps.pleg.run,
            "runtime-events": lambda: runtime_events.run(self.deps.cri, self.deps.pleg.note_exit),
            "statuses": self.deps.statuses.run, "node-status": self.node_status.run,
            "housekeeping": self._housekeep, "static-pods": self.static_pods.run, "eviction": self.eviction.run,
        }
        if self.options.register_node:
            loops["lease"] = self.node_status.run_lease
        server = Server(KubeletHost(self), self.client, self.options, clock=self.clock,
                        context=lambda: serving_certificate.context(
                            self.options, self.deps.node.host_ips, self.clock.now()))
        try:
            await self._wait_runtime()
            await asyncio.to_thread(self._setup_cgroups)
            await server.start()
            for name, work in loops.items():
                spawn(name, keep_running(name, work))
            await self._watch_pods()
            await asyncio.Event().wait()
        finally:
            await server.aclose()
            await self.aclose()

    async def aclose(self) -> None:
        self._closed = True
        await self._tasks.aclose()
        await self.deps.probes.aclose()
        await self.deps.objects.aclose()
        await self.deps.cri.aclose()

    async def _wait_runtime(self) -> None:
        while True:
            try:
                await self.deps.cri.version()
                return
            except CriError as e:
                log.warning("waiting for the container runtime: %s", e)
                await asyncio.sleep(1.0)

    def _setup_cgroups(self) -> None:
        from kubewheel.api import quantity

        allocatable = self.deps.node.allocatable
        self.deps.cgroups.setup(cpu_milli=quantity.milli(allocatable["cpu"]),
                                memory=quantity.value(allocatable["memory"]))

    async def _watch_pods(self) -> None:
        pods = self._caches.get("pods", field_selector=f"spec.nodeName={self.options.node_name}")
        services = self._caches.get("services")
        await services.wait_synced()
        await pods.wait_synced()
        pods.subscribe(self._on_pod)
        self._pods_known.set()

    # -- pods ------------------------------------------------------------------------------------------------
    def _on_pod(self, old: Object | None, new: Object | None) -> None:
        if self._closed:
            return  # the caches may outlive this kubelet
        pod = new or old
        if pod is None or self.static_pods.is_mirror(pod):
            self.static_pods.on_mirror(old, new)
            return
        if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
            self.remove_pod(old["metadata"]["uid"])
        if new is None:
            self.remove_pod(pod["metadata"]["uid"])
        else:
            self.set_pod(new)

    def set_pod(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        pod = {"apiVersion": "v1", "kind": "Pod", **pod}
        worker = self.workers.get(uid)
        if worker is not None:
            worker.update(pod)
            return
        worker = self.workers[uid] = PodWorker(self.deps, pod)
        task = self._tasks.spawn(f"pod-{pod['metadata']['name']}", worker.run())
        task.add_done_callback(lambda _: self.workers.pop(uid, None) if self.workers.get(uid) is worker else None)

    def remove_pod(self, uid: str) -> None:
        if (worker := self.workers.get(uid)) is not None:
            worker.remove()

    def _poke(self, uid: str) -> None:
        if (worker := self.workers.get(uid)) is not None:
            worker.poke()

    def _sources_changed(self, uids: set[str]) -> None:
        for uid in uids:
            if (worker := self.workers.get(uid)) is not None:
                worker.refresh_volumes()

    def pod_named(self, namespace: str, name: str) -> PodWorker | None:
        """The newest pod of that name."""
        found = [w for w in self.workers.values()
                 if w.pod["metadata"]["name"] == name and w.pod["metadata"]["namespace"] == namespace]
        found.sort(key=lambda w: w.gone)
        return found[0] if found else None

    def _services(self, namespace: str) -> list[Object]:
        cache = self._caches.get("services")
        found = cache.list(namespace)
        master = cache.get("default", "kubernetes")
        if master is not None and namespace != "default":
            found = [*found, master]
        return found

    def _others(self, uid: str) -> list[Object]:
        """What takes room here. Not a pod whose object is gone already (deleted without grace, as for a preemptor): the
        scheduler has given its place away."""
        return [w.granted for w in self.workers.values()
                if w.uid != uid and w.is_admitted and not w.is_stopped and not w.gone]

    def _admit(self, pod: Object) -> tuple[str, str] | None:
        others = self._others(pod["metadata"]["uid"])
        return admission.refusal(pod, others, self.node_status.node, self.deps.node.allocatable, self.options)

    # -- housekeeping ----------------------------------------------------------------------------------------
    async def _housekeep(self) -> None:
        """Ends what runs without a pod, and removes old records, images, logs."""
        await self._pods_known.wait()
        collector = garbage.Collector(self)
        while True:
            try:
                await self._end_orphans()
                await collector.collect()
            except (CriError, OSError) as e:
                log.warning("housekeeping: %s", e)
            await asyncio.sleep(self.options.housekeeping_interval)

    async def _end_orphans(self) -> None:
        for uid, (namespace, name) in self.deps.pleg.pods().items():
            if uid not in self.workers and not self.static_pods.owns(uid):
                log.info("pod %s/%s (%s) runs here but has no object: ending it", namespace, name, uid)
                pod = {"apiVersion": "v1", "kind": "Pod",
                       "metadata": {"name": name, "namespace": namespace, "uid": uid}, "spec": {}}
                observed = await self.deps.pleg.observe(uid)
                await killing.kill_pod(self.deps, pod, observed, grace=killing.grace_of(pod))
                await killing.remove_pod(self.deps, observed)
        kept = self.workers.keys() | self.deps.pleg.pods().keys()
        for uid in await asyncio.to_thread(self.deps.volumes.pod_uids):
            if uid not in kept and not self.static_pods.owns(uid):
                await self.deps.volumes.remove_dir(uid)
        for uid in await asyncio.to_thread(self.deps.cgroups.pod_uids):
            if uid not in kept and not self.static_pods.owns(uid):
                await asyncio.to_thread(self.deps.cgroups.remove, uid)
