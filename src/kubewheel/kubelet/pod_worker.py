"""One pod on this node: a task that observes, plans and acts until the pod is gone.

In: the wanted pod (`update`), pokes from PLEG and probes. Out: containers, volumes, cgroups, status.
Called by: kubelet.py, which keeps one worker per pod UID.

Stages: "running" (kept as its spec says) → "terminating" (being stopped) → "terminated" (nothing runs; volumes and
cgroups are gone; the records stay for logs until the object is gone).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kubewheel.api import errors
from kubewheel.kubelet import killing, resize, starting
from kubewheel.kubelet import plan as plans
from kubewheel.kubelet import status as statuses
from kubewheel.kubelet.backoff import Backoff, duration_text
from kubewheel.kubelet.cri import CriError
from kubewheel.kubelet.deps import Deps
from kubewheel.kubelet.observed import Observed
from kubewheel.kubelet.volumes.volume import MountError
from kubewheel.lib.clock import parse_time, rfc3339

log = logging.getLogger(__name__)

Object = dict[str, Any]
VOLUME_REFRESH = 60.0  # for tokens that age; changes of objects come by watch
LAST_RETRY = 120.0


class PodWorker:
    def __init__(self, deps: Deps, pod: Object) -> None:
        self.deps = deps
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.stage = "running"
        self.observed = Observed()
        self.status: Object = pod.get("status") or {}
        self.gone = False  # the API object (or manifest) is gone
        self._wake = asyncio.Event()
        self._syncing: asyncio.Task[float] | None = None
        self._changed_grace = asyncio.Event()
        self._backoff = Backoff()
        self._reasons: dict[str, tuple[str, str]] = {}
        self._failed: tuple[str, str] | None = None
        self._disruption: tuple[str, str] | None = None
        self._grace_override: int | None = None
        self._admitted = False
        self._mount_delay = 0.0
        self._refreshed = 0.0
        self._resize = resize.Resizer(deps, self.uid)
        self.granted = pod  # with the resources the node grants it, which a resize may ask to differ from its spec
        old_start = self.status.get("startTime")
        self._start_time = parse_time(old_start) if old_start else deps.clock.now()

    # -- from outside ----------------------------------------------------------------------------------------
    def update(self, pod: Object) -> None:
        before = killing.grace_of(self.pod)
        if pod["metadata"].get("labels") != self.pod["metadata"].get("labels") or (
                pod["metadata"].get("annotations") != self.pod["metadata"].get("annotations")):
            self._refreshed = float("-inf")  # downward API files show them: no waiting for the next round
        self.pod = pod
        if self.stage == "terminating" and killing.grace_of(pod) < before:
            self._changed_grace.set()
        self._wake.set()
        self._stop_sync_of_ended()

    def refresh_volumes(self) -> None:
        """An object its volumes or environment come from has changed."""
        self._refreshed = float("-inf")
        self._wake.set()

    def poke(self) -> None:
        self._wake.set()

    def remove(self) -> None:
        """The object is gone: end the pod and all that is left of it."""
        self.gone = True
        self._wake.set()
        self._stop_sync_of_ended()

    def fail(self, reason: str, message: str, *, grace: int | None = None, disruption: tuple[str, str] | None = None
             ) -> None:
        """Ends the pod from the node's side (eviction, shutdown, deadline)."""
        self._failed = (reason, message)
        self._grace_override = grace
        self._disruption = disruption
        self._wake.set()
        self._stop_sync_of_ended()

    @property
    def name(self) -> str:
        meta = self.pod["metadata"]
        return f"{meta['name']}_{meta['namespace']}({self.uid})"

    @property
    def qos(self) -> str:
        return (self.pod.get("status") or {}).get("qosClass") or statuses.qos_class(self.pod)

    def waiting_reasons(self) -> dict[str, str]:
        """Container name -> why it is held back."""
        return {name: reason for name, (reason, _) in self._reasons.items()}

    @property
    def is_admitted(self) -> bool:
        return self._admitted

    @property
    def is_stopped(self) -> bool:
        return self.stage == "terminated"

    # -- the task --------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Ends when the pod's object is gone and nothing of it is left on the node."""
        delay = 0.0
        while True:
            self._wake.clear()
            try:
                if self.stage == "terminated":
                    if self.gone or self._is_deleted():
                        await self._clean_up()
                    if self.gone:
                        return
                    delay = 3600.0
                elif self._must_end():
                    await self._terminate()
                    continue
                else:
                    delay = await self._sync_unless_ended()
            except (CriError, errors.StatusError, OSError, TimeoutError) as e:
                log.warning("pod %s: %s", self.name, e)
                delay = 2.0
            except Exception:  # noqa: BLE001 - one pod's bug must not leave it unmanaged
                log.exception("pod %s", self.name)
                delay = 10.0
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _sync_unless_ended(self) -> float:
        """A round may take long (a pull, a postStart hook): a pod that shall end meanwhile does not wait for it."""
        self._syncing = asyncio.ensure_future(self._sync())
        try:
            await asyncio.wait([self._syncing])
            return 0.0 if self._syncing.cancelled() else self._syncing.result()
        finally:
            self._syncing.cancel()
            self._syncing = None

    def _stop_sync_of_ended(self) -> None:
        if self._syncing is not None and self._must_end():
            self._syncing.cancel()

    def _is_deleted(self) -> bool:
        return bool(self.pod["metadata"].get("deletionTimestamp"))

    def _must_end(self) -> bool:
        return (self.gone or self._failed is not None or self._is_deleted() or self.stage == "terminating"
                or (self.pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"))

    # -- running ---------------------------------------------------------------------------------------------
    async def _sync(self) -> float:
        """One round; seconds until the next one even if nothing happens."""
        deps, pod = self.deps, self.pod
        await self._observe()
        if not self._admit():
            return 0.0
        deadline = self._deadline_left()
        if deadline is not None and deadline <= 0:
            self._failed = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            return 0.0
        if not deps.node.network_ready and not pod["spec"].get("hostNetwork"):
            deps.events.event(pod, "Warning", "NetworkNotReady", f"network is not ready: {deps.node.network_message}")
            self._write_status()
            return 2.0
        pod = self.granted = await self._resize.allocate(pod)
        await asyncio.to_thread(deps.cgroups.apply, pod, self.qos)
        if (retry := await self._mount()) > 0:
            return retry
        resized = self._resize.restarts(pod, self.observed, self.qos)
        todo = plans.plan(pod, self.observed, self._facts(resized))
        self._note_waits(todo)
        if todo.kill_pod and not todo.create_sandbox:
            self.stage = "terminating"
            return 0.0
        retry = await self._carry_out(todo)
        if not todo.is_empty():
            await self._observe()
        retry = min(retry, await self._resize.sync(pod, self.observed, self.qos))
        self._write_status()
        waits = [retry, deps.options.sync_frequency, *todo.waiting.values()]
        if deadline is not None:
            waits.append(deadline)
        if deps.volumes.needs_refresh(pod):
            waits.append(VOLUME_REFRESH)
        return min(waits)

    async def _observe(self) -> None:
        self.observed = await self.deps.pleg.observe(self.uid)
        ips = self.observed.sandbox.ips if self.observed.sandbox else ()
        ip = ips[0] if ips else (self.deps.node.host_ips[0] if self.deps.node.host_ips else "")
        if self.stage == "running":
            self.deps.probes.sync(self.pod, self.observed, ip)

    def _admit(self) -> bool:
        if self._admitted:
            return True
        if not self.observed.containers:  # what runs already was admitted by the kubelet before this one
            refusal = self.deps.admit(self.pod)
            if refusal is not None:
                self.deps.events.event(self.pod, "Warning", refusal[0], refusal[1])
                self._failed = (refusal[0], f"Pod was rejected: {refusal[1]}")
                return False
        self._admitted = True
        return True

    def _deadline_left(self) -> float | None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        return None if limit is None else self._start_time + limit - self.deps.clock.now()

    async def _mount(self) -> float:
        """0, or seconds to wait before the volumes are tried again."""
        deps, pod = self.deps, self.pod
        loop_time = asyncio.get_running_loop().time()
        try:
            if not deps.volumes.is_mounted(pod):
                await deps.volumes.mount_all(pod)
                self._refreshed = loop_time
            elif deps.volumes.needs_refresh(pod) and loop_time - self._refreshed >= VOLUME_REFRESH:
                self._refreshed = loop_time
                await deps.volumes.refresh(self._pod_now())
        except MountError as e:
            deps.events.event(pod, "Warning", "FailedMount", str(e))
            if deps.volumes.is_mounted(pod):
                return 0.0  # the old content stays; the pod goes on
            self._write_status()
            self._mount_delay = min(max(self._mount_delay * 2, 0.5), LAST_RETRY)
            return self._mount_delay
        self._mount_delay = 0.0
        return 0.0

    def _facts(self, resized: frozenset[str]) -> plans.Facts:
        now = self.deps.clock.now()
        waits = {}
        for container in self._containers():
            last = self.observed.latest(container["name"])
            if last is None or last.state != "exited":
                continue
            left = self._backoff.remaining(self._backoff_key(container), last.finished_at, now)
            if left > 0:
                waits[container["name"]] = left
        return plans.Facts(waits=waits, failed=self.deps.probes.failed, resized=resized,
                           started=self.deps.probes.started(self.pod, self.observed))

    def _containers(self) -> list[Object]:
        spec = self.pod["spec"]
        return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]

    def _backoff_key(self, container: Object) -> str:
        return f"{self.uid}_{container['name']}_{container.get('image', '')}"

    def _note_waits(self, todo: plans.Plan) -> None:
        by_name = {c["name"]: c for c in self._containers()}
        for name in todo.waiting:
            delay = duration_text(self._backoff.delay(self._backoff_key(by_name[name])))
            self._reasons[name] = ("CrashLoopBackOff",
                                   f"back-off {delay} restarting failed container={name} pod={self.name}")
            self.deps.events.event(self.pod, "Warning", "BackOff",
                                   f"Back-off restarting failed container {name} in pod {self.name}",
                                   field_path=f"spec.containers{{{name}}}")

    async def _carry_out(self, todo: plans.Plan) -> float:
        """Seconds until a failed part may be tried again."""
        deps, pod = self.deps, self.pod
        if todo.kill_pod:
            deps.events.event(pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            await killing.kill_pod(deps, pod, self.observed, grace=killing.grace_of(pod))
            await self._observe()
        for kill in todo.kill:
            await self._kill_one(kill)
        sandbox_id, attempt = todo.sandbox_id, 0
        if todo.create_sandbox:
            attempt = todo.attempt
            self._write_status()
            try:
                sandbox_id = await starting.run_sandbox(deps, pod, self.qos, attempt)
            except starting.StartError as e:
                return e.retry
            await self._observe()
            self._write_status()
        elif self.observed.sandbox is not None:
            attempt = self.observed.sandbox.attempt
        retry = LAST_RETRY
        config = starting.make_sandbox_config(deps, pod, self.qos, attempt) if todo.start else {}
        for what in todo.start:
            retry = min(retry, await self._start_one(what, sandbox_id, config))
        return retry

    async def _kill_one(self, kill: plans.Kill) -> None:
        grace = killing.grace_of(self.pod)
        spec = next((c for c in self._containers() if c["name"] == kill.container.name), {})
        probe = {"LivenessProbe": "livenessProbe", "StartupProbe": "startupProbe"}.get(kill.reason)
        own = (spec.get(probe) or {}).get("terminationGracePeriodSeconds") if probe else None
        await killing.kill_container(self.deps, self.pod, kill.container, grace=grace if own is None else own,
                                     message=kill.message)
        await self._observe()

    async def _start_one(self, what: plans.Start, sandbox_id: str, config: Object) -> float:
        name = what.spec["name"]
        last = self.observed.latest(name)
        now = self.deps.clock.now()
        if last is not None and last.state == "exited" and what.kind != "ephemeral":
            key = self._backoff_key(what.spec)
            left = self._backoff.remaining(key, last.finished_at, now)
            if left > 0:  # it was killed just now for its probe, and has crashed before
                self._note_waits(plans.Plan(waiting={name: left}))
                return left
            self._backoff.next(key, last.finished_at)
        try:
            await starting.start(self.deps, self._pod_now(), self.qos, what, sandbox_id, config, self.observed)
        except starting.StartError as e:
            self._reasons[name] = (e.reason, e.message)
            return e.retry
        self._reasons.pop(name, None)
        return LAST_RETRY

    def _pod_now(self) -> Object:
        """The pod with the status as computed here (pod IPs for the downward API)."""
        return {**self.granted, "status": self.status}

    # -- status ----------------------------------------------------------------------------------------------
    def _write_status(self, *, terminated: bool = False) -> None:
        deps, observed = self.deps, self.observed
        pod = self.pod if not self.status else {**self.pod, "status": self._base_status()}
        known = statuses.Known(
            now=deps.clock.now(), host_ips=deps.node.host_ips, start_time=self._start_time,
            ready=deps.probes.ready(self.pod, observed), started=deps.probes.started(self.pod, observed),
            reasons=self._reasons, failed=self._failed, terminating=self.stage != "running", terminated=terminated,
            network_ready=bool(observed.sandbox and observed.sandbox.ready and (
                observed.sandbox.ips or observed.sandbox.host_network)),
            allocated=self._resize.allocated, in_force=self._resize.in_force, resize=self._resize.condition,
            disruption=self._disruption)
        if self._failed is not None and not self._admitted:
            self.status = statuses.rejected(self.pod, self._failed, started=rfc3339(self._start_time))
        else:
            self.status = statuses.pod_status(pod, observed, known)
        deps.statuses.set(self.pod, self.status)

    def _base_status(self) -> Object:
        """Ours, with the conditions others have written to the API object since."""
        ours = dict(self.status)
        api = {c["type"]: c for c in (self.pod.get("status") or {}).get("conditions") or ()}
        kept = [c for c in ours.get("conditions") or () if c["type"] in statuses.OWNED]
        have = {c["type"] for c in kept}
        ours["conditions"] = kept + [c for t, c in api.items() if t not in have]
        for key in ("nominatedNodeName", "resourceClaimStatuses"):
            if key in (self.pod.get("status") or {}):
                ours[key] = self.pod["status"][key]
        return ours

    # -- ending ----------------------------------------------------------------------------------------------
    async def _terminate(self) -> None:
        deps, pod = self.deps, self.pod
        self.stage = "terminating"
        deps.probes.stop_restarting(self.uid)
        await self._observe()
        self._write_status()
        grace = killing.grace_of(pod, self._grace_override)
        self._changed_grace.clear()
        work = asyncio.create_task(killing.kill_pod(deps, pod, self.observed, grace=grace))
        try:
            await self._wait_killed(work)
        finally:
            work.cancel()
        await self._observe()
        if self.observed.running():
            raise CriError("UNKNOWN", "containers are still running")
        self._write_status(terminated=True)
        deps.probes.forget(self.uid, [c.id for c in self.observed.containers])
        await deps.volumes.unmount_all(self.uid)
        for _ in range(20):
            if await asyncio.to_thread(deps.cgroups.remove, self.uid):
                break
            await asyncio.sleep(0.1)
        self.stage = "terminated"

    async def _wait_killed(self, work: asyncio.Task[None]) -> None:
        """Waits for the kill; a shorter grace that arrives meanwhile (a second delete) stops the containers sooner."""
        while not work.done():
            shorter = asyncio.create_task(self._changed_grace.wait())
            waited: set[asyncio.Task[Any]] = {work, shorter}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            shorter.cancel()
            if not work.done():
                self._changed_grace.clear()
                grace = killing.grace_of(self.pod)
                running = (await self.deps.pleg.observe(self.uid)).running()
                await asyncio.gather(*(self.deps.cri.stop_container(c.id, grace) for c in running))
        work.result()

    async def _clean_up(self) -> None:
        """The object is deleted: the runtime's records and the directories go; then the object may."""
        await killing.remove_pod(self.deps, self.observed)
        self.observed = Observed()
        await self.deps.volumes.remove_dir(self.uid)
        meta = self.pod["metadata"]
        await asyncio.to_thread(remove_logs, self.deps.options, meta["namespace"], meta["name"], self.uid)
        if self.gone:
            self.deps.statuses.forget(self.uid)
        else:
            self.deps.statuses.finish(self.pod)


def remove_logs(options: Any, namespace: str, name: str, uid: str) -> None:
    import os
    import shutil

    directory = options.log_dir(namespace, name, uid)
    shutil.rmtree(directory, ignore_errors=True)
    if not os.path.isdir(options.container_logs_dir):
        return
    for link in os.scandir(options.container_logs_dir):
        if link.name.startswith(f"{name}_{namespace}_") and link.is_symlink() and not os.path.exists(link.path):
            os.unlink(link.path)
