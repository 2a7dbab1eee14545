"""The scheduler: pods out of the queue, decided on the table, bound through the API, several binds in flight.

In: caches of pods, nodes and what plugins read. Out: bindings, PodScheduled conditions, events, victims deleted.
Called by: run (control plane, `kube-scheduler`), testing.cluster.

One task decides, pod after pod, on a table that already holds what it decided before (assume); binds run beside it and
take the pod out again where they fail (forget).
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.cache import Caches
from kubewheel.client.client import STRATEGIC_PATCH, Client
from kubewheel.client.events import Recorder
from kubewheel.lib.clock import Clock, rfc3339
from kubewheel.lib.metrics import REGISTRY
from kubewheel.lib.supervise import Tasks
from kubewheel.scheduler import feed, preempt, profile
from kubewheel.scheduler.decide import Decision
from kubewheel.scheduler.plugins.base import Handle
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.queue import Item, Queue
from kubewheel.scheduler.table import Table

log = logging.getLogger(__name__)

BINDS_IN_FLIGHT = 128
TURN = 32  # pods decided before others get their turn (counted, not timed: equal runs stay equal)

ATTEMPTS = REGISTRY.counter("scheduler_schedule_attempts_total", "Attempts to schedule pods, by result.",
                            "result", "profile")
DURATION = REGISTRY.histogram("scheduler_scheduling_algorithm_duration_seconds",
                              "Scheduling algorithm latency in seconds",
                              buckets=tuple(0.00005 * 2**n for n in range(16)))
PREEMPTIONS = REGISTRY.counter("scheduler_preemption_attempts_total",
                               "Total preemption attempts till now")
VICTIMS = REGISTRY.histogram("scheduler_preemption_victims", "Number of selected preemption victims",
                             buckets=(1, 2, 4, 8, 16, 32, 64))
PENDING = REGISTRY.gauge("scheduler_pending_pods", "Number of pending pods, by the queue type.", "queue")


class Scheduler:
    """`config` is a KubeSchedulerConfiguration (dict, or path of a YAML file), or None for the defaults."""

    def __init__(self, client: Client, caches: Caches, clock: Clock, random: random_module.Random,
                 config: Mapping[str, Any] | str | Path | None, events: Recorder) -> None:
        self.client, self.caches, self.clock, self.random, self.events = client, caches, clock, random, events
        self.table = Table()
        json = yaml.safe_load(Path(config).read_text()) if isinstance(config, (str, Path)) else config
        self.config = profile.load(json, Handle(feed.CachedObjects(caches), client, clock, random))
        self.profiles = self.config.profiles
        self.queue: Queue = None  # type: ignore[assignment]  # made by run(): it needs the running loop
        self._tasks = Tasks("scheduler")
        self._feed: feed.Feed | None = None
        self._counted = float("-inf")
        self._slots = asyncio.Semaphore(BINDS_IN_FLIGHT)

    async def run(self) -> None:
        """For ever. What it knew is forgotten on leaving; a new run starts from the caches."""
        loop = asyncio.get_running_loop()
        self.table = Table()
        self.queue = Queue(loop.time, wants=self._wants, gate=self._gate, first_backoff=self.config.first_backoff,
                           max_backoff=self.config.max_backoff)
        for resource in ("nodes", "namespaces", "pods", *feed.OTHERS):
            self.caches.get(resource)
        await self.caches.wait_synced()
        if self._feed is None:
            self._feed = feed.Feed(self.table, self.queue, self._is_ours)
            self._feed.subscribe(self.caches)
        else:
            self._feed.restart(self.table, self.queue, self.caches)
        try:
            await self._decide_all()
        finally:
            await self._tasks.aclose()

    async def _decide_all(self) -> None:
        decided = 0
        while True:
            item = self.queue.pop_nowait()
            if item is None:
                self._count_pending()
                item = await self.queue.pop()
                decided = 0
            try:
                self._schedule(item)
            except Exception as e:  # noqa: BLE001 - a plugin of somebody's must not end the scheduler
                log.exception("scheduling %s", item.info.key)
                ATTEMPTS.inc("error", item.info.scheduler)
                self.queue.failed(item)
                self._tasks.spawn("error", self._report(item.info, "SchedulerError", str(e)))
            decided += 1
            if self._slots.locked() or decided % TURN == 0:
                await asyncio.sleep(0)

    def _count_pending(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted < 1.0:
            return
        self._counted = now
        for queue, count in self.queue.counts().items():
            PENDING.set(count, queue)

    # -- one pod ------------------------------------------------------------------------------------------------
    def _schedule(self, item: Item) -> None:
        info = item.info
        chosen = self.profiles[info.scheduler]
        if info.terminating or self.table.row_of(info.uid) is not None:
            self.queue.done(info.uid)
            return
        began = time.perf_counter()
        decision = chosen.decider.decide(info, self.table, self.random)
        DURATION.observe(time.perf_counter() - began)
        if decision.node is None:
            self._no_node(item, chosen, decision)
            return
        self.table.nominated.pop(info.uid, None)
        self.table.add_pod(info, decision.node)  # assumed until the cache says so, or the bind fails
        for plugin in chosen.at("reserve"):
            if (why := plugin.reserve(info, decision.node)) is not None:
                self._forget(info, chosen, decision.node)
                self.queue.unschedulable(item, frozenset({plugin.name}))
                self._tasks.spawn("report", self._report(info, "Unschedulable", why))
                return
        self._tasks.spawn(f"bind {info.key}", self._bind(item, chosen, decision.node))

    def _forget(self, info: PodInfo, chosen: profile.Profile, node: str) -> None:
        for plugin in reversed(chosen.at("reserve")):
            plugin.unreserve(info, node)
        self.table.remove_pod(info.uid)

    async def _bind(self, item: Item, chosen: profile.Profile, node: str) -> None:
        info = item.info
        async with self._slots:
            try:
                refused = await self._bind_or_why(info, chosen, node)
            except asyncio.CancelledError:
                raise
            except Exception as e:  # noqa: BLE001 - a refused or broken bind: forget, tell, try again
                self._forget(info, chosen, node)
                if isinstance(e, errors.StatusError) and e.code == 404:
                    self.queue.done(info.uid)
                    return
                log.warning("binding %s to %s: %s", info.key, node, e)
                ATTEMPTS.inc("error", chosen.name)
                self.queue.failed(item)
                self.queue.event("AssignedPod/Delete")
                await self._report(info, "SchedulerError", f"binding rejected: {e}")
                return
            if refused is not None:
                self._forget(info, chosen, node)
                self.queue.unschedulable(item, frozenset())
                self.queue.event("AssignedPod/Delete")
                await self._report(info, "Unschedulable", refused)
                return
        self.queue.done(info.uid)
        ATTEMPTS.inc("scheduled", chosen.name)
        self.events.event(info.obj | {"kind": "Pod", "apiVersion": "v1"}, "Normal", "Scheduled",
                          f"Successfully assigned {info.key} to {node}")
        for plugin in chosen.at("postBind"):
            await plugin.postbind(info, node)

    async def _bind_or_why(self, info: PodInfo, chosen: profile.Profile, node: str) -> str | None:
        for point in ("permit", "preBind"):
            for plugin in chosen.at(point):
                call = plugin.permit if point == "permit" else plugin.prebind
                if (why := await call(info, node)) is not None:
                    return why
        for plugin in chosen.at("bind"):
            if await plugin.bind(info, node):
                return None
        await self.client.create("pods", {
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": info.name, "namespace": info.namespace, "uid": info.uid},
            "target": {"kind": "Node", "name": node}}, name=info.name, subresource="binding")
        return None

    # -- no node ------------------------------------------------------------------------------------------------
    def _no_node(self, item: Item, chosen: profile.Profile, decision: Decision) -> None:
        info = item.info
        ATTEMPTS.inc("unschedulable", chosen.name)
        outcome = preempt.Outcome(None)
        if chosen.preempts and decision.total:
            PREEMPTIONS.inc()
            args = chosen.args.get("DefaultPreemption", {})
            outcome = preempt.preempt(
                info, self.table, chosen.decider, decision, self.caches.get("poddisruptionbudgets.policy").list(),
                self.random, min_percent=args.get("minCandidateNodesPercentage", preempt.MIN_PERCENT),
                min_count=args.get("minCandidateNodesAbsolute", preempt.MIN_COUNT))
        plan = outcome.plan
        if plan is not None:
            VICTIMS.observe(len(plan.victims))
            self.table.nominated[info.uid] = (plan.node, info)
        self.queue.unschedulable(item, decision.plugins)
        self._tasks.spawn(f"no node {info.key}", self._tell(info, decision.message(outcome.message), plan))

    async def _tell(self, info: PodInfo, message: str, plan: preempt.Plan | None) -> None:
        if plan is not None:
            await asyncio.gather(*(self._evict(info, victim, plan.node) for victim in plan.victims))
        await self._report(info, "Unschedulable", message, nominated=plan.node if plan else None)

    async def _evict(self, info: PodInfo, victim: PodInfo, node: str) -> None:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                     "message": f"{info.scheduler}: preempting to accommodate a higher priority pod",
                     "lastTransitionTime": rfc3339(self.clock.now())}
        try:
            if not victim.terminating:
                await self.client.patch("pods", victim.name, {"status": {"conditions": [condition]}},
                                        namespace=victim.namespace, subresource="status", type=STRATEGIC_PATCH)
                await self.client.delete("pods", victim.name, namespace=victim.namespace, uid=victim.uid)
        except errors.StatusError as e:
            if e.code not in (404, 409):
                log.warning("preempting %s: %s", victim.key, e)
            return
        self.events.event(victim.obj | {"kind": "Pod", "apiVersion": "v1"}, "Normal", "Preempted",
                          f"Preempted by pod {info.uid} on node {node}")

    async def _report(self, info: PodInfo, reason: str, message: str, *, nominated: str | None = None) -> None:
        """The PodScheduled=False condition, the nominated node, and the FailedScheduling event."""
        self.events.event(info.obj | {"kind": "Pod", "apiVersion": "v1"}, "Warning", "FailedScheduling", message)
        current = self.caches.get("pods").get(info.namespace, info.name)
        status: Object = {}
        was: Object = next((c for c in ((current or {}).get("status") or {}).get("conditions") or ()
                            if c["type"] == "PodScheduled"), {})
        if (was.get("status"), was.get("reason"), was.get("message")) != ("False", reason, message):
            since = was.get("lastTransitionTime") if was.get("status") == "False" else None
            status["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message,
                                     "lastProbeTime": None,
                                     "lastTransitionTime": since or rfc3339(self.clock.now())}]
        if nominated is not None:
            status["nominatedNodeName"] = nominated
        if not status:
            return
        try:
            await self.client.patch("pods", info.name, {"metadata": {"uid": info.uid}, "status": status},
                                    namespace=info.namespace, subresource="status", type=STRATEGIC_PATCH)
        except (errors.StatusError, OSError) as e:
            if not (isinstance(e, errors.StatusError) and e.code in (404, 409)):
                log.warning("status of %s: %s", info.key, e)

    # -- what the queue asks ------------------------------------------------------------------------------------
    def _is_ours(self, info: PodInfo) -> bool:
        return info.scheduler in self.profiles

    def _gate(self, info: PodInfo) -> str | None:
        return self.profiles[info.scheduler].gate(info)

    def _wants(self, scheduler: str, plugin: str, event: str) -> bool:
        found = self.profiles[scheduler].plugins.get(plugin)
        return found is None or "*" in found.events or event in found.events or event == "Pod/Update"
