"""Liveness, readiness and startup probes: one task per probe, verdicts by container id.

In: pods and what runs of them (`sync`). Out: `ready`, `started`, `failed` maps; `on_change(uid)` when one
flips; events.
Called by: pod_worker.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.client.events import Recorder
from kubewheel.kubelet import handlers
from kubewheel.kubelet.cri import Cri
from kubewheel.kubelet.observed import Observed
from kubewheel.kubelet.plan import is_sidecar
from kubewheel.lib.clock import Clock
from kubewheel.lib.supervise import Tasks

Object = dict[str, Any]

KINDS = {"startupProbe": "Startup", "livenessProbe": "Liveness", "readinessProbe": "Readiness"}


@dataclass(slots=True)
class _Target:
    """What a probe's task looks at; `sync` keeps it current."""

    pod: Object
    container: Object
    container_id: str = ""
    started_at: float = 0.0
    ip: str = ""
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Probes:
    def __init__(self, cri: Cri, events: Recorder, clock: Clock, *, on_change: Callable[[str], None]) -> None:
        self._cri = cri
        self._events = events
        self._clock = clock
        self._on_change = on_change
        self._tasks = Tasks("probes")
        self._running: dict[tuple[str, str, str], tuple[_Target, asyncio.Task[object]]] = {}
        self._ready: dict[str, bool] = {}
        self._started: dict[str, bool] = {}
        self.failed: dict[str, str] = {}  # container id -> "liveness" | "startup"
        self.counts: dict[tuple[str, str], int] = {}  # (probe kind, result) -> number, for metrics

    # -- verdicts --------------------------------------------------------------------------------------------
    def ready(self, pod: Object, observed: Observed) -> dict[str, bool]:
        return self._verdicts(pod, observed, "readinessProbe", self._ready)

    def started(self, pod: Object, observed: Observed) -> dict[str, bool]:
        return self._verdicts(pod, observed, "startupProbe", self._started)

    @staticmethod
    def _verdicts(pod: Object, observed: Observed, key: str, results: dict[str, bool]) -> dict[str, bool]:
        out = {}
        for container in _probed(pod):
            last = observed.latest(container["name"])
            if last is not None and container.get(key):
                out[last.id] = results.get(last.id, False)
        return out

    # -- wiring ----------------------------------------------------------------------------------------------
    def sync(self, pod: Object, observed: Observed, ip: str) -> None:
        """Starts the pod's probes and tells them which containers run now."""
        uid = pod["metadata"]["uid"]
        for container in _probed(pod):
            last = observed.latest(container["name"])
            running = last if last is not None and last.state == "running" else None
            for kind in KINDS:
                if not container.get(kind):
                    continue
                key = (uid, container["name"], kind)
                if key not in self._running:
                    if running is not None:
                        self._take_over(pod, running.id, kind)
                    target = _Target(pod, container)
                    task = self._tasks.spawn("-".join(key), self._run(target, kind))
                    self._running[key] = (target, task)
                target = self._running[key][0]
                target.pod, target.container, target.ip = pod, container, ip
                fresh = running.id if running else ""
                if fresh != target.container_id:
                    target.container_id = fresh
                    target.started_at = running.started_at if running else 0.0
                    target.wake.set()

    def _take_over(self, pod: Object, container_id: str, kind: str) -> None:
        """A container that ran before this kubelet keeps its verdict until its probe speaks again."""
        field, results = {"readinessProbe": ("ready", self._ready), "startupProbe": ("started", self._started)}.get(
            kind, ("", self._ready))
        status = pod.get("status") or {}
        for shown in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
            if field and shown.get("containerID", "").endswith(container_id) and shown.get(field):
                results.setdefault(container_id, True)

    def stop_restarting(self, uid: str) -> None:
        """The pod is ending: only readiness goes on."""
        self._cancel(lambda key: key[0] == uid and key[2] != "readinessProbe")

    def forget(self, uid: str, container_ids: list[str]) -> None:
        self._cancel(lambda key: key[0] == uid)
        for container_id in container_ids:
            for results in (self._ready, self._started, self.failed):
                results.pop(container_id, None)

    def _cancel(self, which: Callable[[tuple[str, str, str]], bool]) -> None:
        for key in [k for k in self._running if which(k)]:
            self._running.pop(key)[1].cancel()

    async def aclose(self) -> None:
        await self._tasks.aclose()

    # -- one probe -------------------------------------------------------------------------------------------
    async def _run(self, target: _Target, kind: str) -> None:
        probed_id, successes, failures = "", 0, 0
        while True:
            probe = target.container[kind]
            container_id = target.container_id
            if container_id != probed_id:
                probed_id, successes, failures = container_id, 0, 0
            wait = self._wait_before(target, kind, probe)
            if container_id and wait == 0:
                verdict, message = await self._once(target, kind, probe)
                if verdict == handlers.SUCCESS:
                    successes, failures = successes + 1, 0
                elif verdict == handlers.FAILURE:
                    successes, failures = 0, failures + 1
                if target.container_id == container_id:  # else it was of a container that is gone by now
                    self._note(target, kind, verdict, message)
                    self._conclude(target, kind, probe, successes, failures)
                wait = probe.get("periodSeconds") or 10
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait or probe.get("periodSeconds") or 10):
                    await target.wake.wait()
            target.wake.clear()

    def _wait_before(self, target: _Target, kind: str, probe: Object) -> float:
        """Seconds until this probe may look; 0: now."""
        container_id, period = target.container_id, float(probe.get("periodSeconds") or 10)
        if not container_id or container_id in self.failed:
            return period
        has_started = self._started.get(container_id, not target.container.get("startupProbe"))
        if (kind == "startupProbe") == has_started:
            return period
        age = self._clock.now() - target.started_at
        return max(0.0, (probe.get("initialDelaySeconds") or 0) - age)

    async def _once(self, target: _Target, kind: str, probe: Object) -> tuple[str, str]:
        timeout = float(probe.get("timeoutSeconds") or 1)
        verdict, message = handlers.UNKNOWN, ""
        for _ in range(3):  # upstream tries an errored (not a failed) probe three times
            verdict, message = await handlers.run(probe, target.container, cri=self._cri,
                                                  container_id=target.container_id, ip=target.ip, timeout=timeout)
            if verdict != handlers.UNKNOWN:
                break
        return verdict, message

    def _note(self, target: _Target, kind: str, verdict: str, message: str) -> None:
        word = KINDS[kind]
        self.counts[(word, verdict)] = self.counts.get((word, verdict), 0) + 1
        group = "initContainers" if is_sidecar(target.container) else "containers"
        path = f"spec.{group}{{{target.container['name']}}}"
        if verdict == handlers.SUCCESS:
            if message.startswith(handlers.REDIRECTED):
                self._events.event(target.pod, "Warning", "ProbeWarning", f"{word} probe warning: {message}",
                                   field_path=path)
            return
        text = (f"{word} probe failed: {message}" if verdict == handlers.FAILURE
                else f"{word} probe errored and resulted in unknown state: {message}")
        self._events.event(target.pod, "Warning", "Unhealthy", text, field_path=path)

    def _conclude(self, target: _Target, kind: str, probe: Object, successes: int, failures: int) -> None:
        container_id = target.container_id
        uid = target.pod["metadata"]["uid"]
        good = successes >= (probe.get("successThreshold") or 1)
        bad = failures >= (probe.get("failureThreshold") or 3)
        if not (good or bad):
            return
        if kind == "readinessProbe":
            if self._ready.get(container_id) != good:
                self._ready[container_id] = good
                self._on_change(uid)
        elif kind == "startupProbe" and good:
            self._started[container_id] = True
            for key, (other, _) in self._running.items():
                if key[0] == uid and other.container_id == container_id:
                    other.wake.set()
            self._on_change(uid)
        elif bad:
            self.failed[container_id] = "startup" if kind == "startupProbe" else "liveness"
            self._on_change(uid)


def _probed(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*(spec.get("containers") or ()), *(c for c in spec.get("initContainers") or () if is_sidecar(c))]
