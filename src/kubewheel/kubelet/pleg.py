"""Looks at the runtime every second and says which pods changed (upstream's generic PLEG).

In: CRI lists. Out: `observe(uid)` (Observed, fetched), `on_change(uid)` calls, `pods()`.
Called by: kubelet.py, pod_worker.py.
Statuses of exited containers never change: they are kept by id. The termination message is read when the exit is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kubewheel.kubelet import observed
from kubewheel.kubelet.cri import CONTAINER_EXITED, CONTAINER_RUNNING, SANDBOX_READY, Cri, CriError
from kubewheel.kubelet.logs import tail_of_log
from kubewheel.kubelet.observed import Container, Observed, Sandbox

log = logging.getLogger(__name__)

SETTLE, LOOKS = 0.05, 20  # seconds between looks for an end already told, and how many
MAX_MESSAGE = 4096  # of a termination log
FALLBACK_BYTES, FALLBACK_LINES = 2048, 80


class Pleg:
    def __init__(self, cri: Cri, *, period: float, on_change: Callable[[str], None]) -> None:
        self._cri = cri
        self._period = period
        self._on_change = on_change
        self._exited: dict[str, Container] = {}
        self._seen: dict[str, frozenset[tuple[str, int]]] = {}
        self._names: dict[str, tuple[str, str]] = {}  # uid -> (namespace, name)
        self._ended: dict[str, int] = {}  # id the runtime told us has ended, but still lists as running -> looks left
        self._soon = asyncio.Event()
        self.last_relist = 0.0  # loop time
        self.error = "PLEG is not healthy: pleg has yet to be successful"

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.relist()
                self.last_relist = loop.time()
                self.error = ""
            except CriError as e:
                self.error = str(e)
                log.warning("the runtime does not list its pods: %s", e)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE if self._ended else self._period):
                    await self._soon.wait()
            self._soon.clear()

    def note_exit(self, container_id: str) -> None:
        """The runtime says it has ended: look now, and again until the lists agree."""
        self._ended[container_id] = LOOKS
        self._soon.set()

    async def relist(self) -> None:
        sandboxes, containers = await asyncio.gather(self._cri.list_sandboxes(), self._cri.list_containers())
        fresh: dict[str, set[tuple[str, int]]] = defaultdict(set)
        names: dict[str, tuple[str, str]] = {}
        for item in [*sandboxes, *containers]:
            labels = item["labels"]
            uid = labels.get(observed.POD_UID)
            if uid:
                fresh[uid].add((item["id"], item["state"]))
                names[uid] = (labels.get(observed.POD_NAMESPACE, ""), labels.get(observed.POD_NAME, ""))
        known_ids = {c["id"] for c in containers}
        alive = {s["id"] for s in sandboxes if s["state"] == SANDBOX_READY}
        alive |= {c["id"] for c in containers if c["state"] == CONTAINER_RUNNING}
        self._ended = {i: left - 1 for i, left in self._ended.items() if i in alive and left > 1}
        for gone in self._exited.keys() - known_ids:
            del self._exited[gone]
        before, self._seen = self._seen, {uid: frozenset(ids) for uid, ids in fresh.items()}
        self._names = names
        for uid in before.keys() | self._seen.keys():
            if before.get(uid) != self._seen.get(uid):
                self._on_change(uid)

    def pods(self) -> dict[str, tuple[str, str]]:
        """uid -> (namespace, name) of all the runtime has."""
        return dict(self._names)

    async def observe(self, uid: str) -> Observed:
        """What the runtime holds of the pod right now."""
        labels = {observed.POD_UID: uid}
        listed, containers = await asyncio.gather(
            self._cri.list_sandboxes(labels=labels), self._cri.list_containers(labels=labels))
        sandboxes = await asyncio.gather(*(self._sandbox(s) for s in listed))
        found = await asyncio.gather(*(self._container(c) for c in containers))
        return Observed(
            tuple(sorted((s for s in sandboxes if s), key=lambda s: -s.created_at)),
            tuple(sorted((c for c in found if c), key=lambda c: (-c.created_at, -c.restart_count))))

    async def _sandbox(self, listed: dict[str, Any]) -> Sandbox | None:
        try:
            answer = await self._cri.sandbox_status(listed["id"])
        except CriError as e:
            if e.is_not_found:
                return None
            raise
        return observed.sandbox_of(listed, answer["status"])

    async def _container(self, listed: dict[str, Any]) -> Container | None:
        known = self._exited.get(listed["id"])
        if known is not None:
            return known
        try:
            status = (await self._cri.container_status(listed["id"]))["status"]
        except CriError as e:
            if e.is_not_found:
                return None
            raise
        container = observed.container_of(status, listed["pod_sandbox_id"])
        if status["state"] == CONTAINER_EXITED:
            container = await asyncio.to_thread(with_termination_message, container)
            self._exited[container.id] = container
        return container


def with_termination_message(container: Container) -> Container:
    """The container with what it left in its termination log, or the end of its output if it asked for that."""
    message = container.message
    if container.termination_file:
        try:
            with open(container.termination_file, errors="replace") as file:
                message = file.read(MAX_MESSAGE + 1)[:MAX_MESSAGE] or message
        except OSError as e:
            message = f"Error on reading termination log {container.termination_file}: {e.strerror}"
    policy = container.annotations.get(observed.TERMINATION_POLICY)
    if policy == "FallbackToLogsOnError" and container.exit_code != 0 and not message and container.log_path:
        message = tail_of_log(container.log_path, lines=FALLBACK_LINES, limit=FALLBACK_BYTES)
    return replace(container, message=message)
