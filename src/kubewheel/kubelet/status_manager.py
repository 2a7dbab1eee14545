"""Writes pod statuses, only what changed, until the API server has them; then ends deleted pods' objects.

In: `set(pod, status)`. Out: strategic merge patches of pods/status; a DELETE with grace 0 once the pod's work is done.
Called by: pod_worker.py. Several pods are written at once, one pod never twice at a time; the newest status of each.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.client.client import STRATEGIC_PATCH, Client

log = logging.getLogger(__name__)

Object = dict[str, Any]
WRITERS = 8
REPLACED_LISTS = ("podIPs", "hostIPs", "resourceClaimStatuses")


def difference(old: Object, new: Object) -> Object:
    """The strategic merge patch of `status` that leads from old to new; {} where they are equal."""
    out: Object = {}
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if before == after or (not before and not after):
            continue
        if key == "conditions":
            known = {c["type"]: c for c in before or ()}
            changed = [c for c in after or () if known.get(c["type"]) != c]
            gone = [{"type": t, "$patch": "delete"} for t in known if t not in {c["type"] for c in after or ()}]
            if changed or gone:
                out[key] = changed + gone
        elif key in REPLACED_LISTS and any(item not in (after or ()) for item in before or ()):
            out[key] = [*(after or ()), {"$patch": "replace"}]  # merging alone would keep what is gone
        else:
            out[key] = after
    return out


class StatusManager:
    def __init__(self, client: Client, *, retry: float = 1.0) -> None:
        self._client = client
        self._retry = retry
        self._wanted: dict[str, tuple[Object, Object]] = {}  # uid -> (pod, status)
        self._finished: dict[str, Object] = {}  # uid -> pod whose API object may go
        self._dirty: dict[str, None] = {}
        self._writing: set[str] = set()
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def set(self, pod: Object, status: Object) -> None:
        """The status the API shall show. The last one set wins."""
        uid = pod["metadata"]["uid"]
        self._wanted[uid] = (pod, status)
        self._mark(uid)

    def get(self, uid: str) -> Object | None:
        """The newest status, written or not."""
        entry = self._wanted.get(uid)
        return entry[1] if entry else None

    def finish(self, pod: Object) -> None:
        """The pod is deleted and all of it is gone from this node: its object may be removed."""
        uid = pod["metadata"]["uid"]
        self._finished[uid] = pod
        self._mark(uid)

    def forget(self, uid: str) -> None:
        self._wanted.pop(uid, None)
        self._finished.pop(uid, None)
        self._dirty.pop(uid, None)

    def _mark(self, uid: str) -> None:
        self._dirty[uid] = None
        self._wake.set()

    async def run(self) -> None:
        slots = asyncio.Semaphore(WRITERS)
        async with asyncio.TaskGroup() as writers:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while uid := next((u for u in self._dirty if u not in self._writing), ""):
                    await slots.acquire()
                    self._dirty.pop(uid, None)
                    self._writing.add(uid)
                    writers.create_task(self._write_one(uid, slots))

    async def _write_one(self, uid: str, slots: asyncio.Semaphore) -> None:
        try:
            written = await self._try_write(uid)
        finally:
            self._writing.discard(uid)
            slots.release()
            self._wake.set()
        if written:
            self._failures.pop(uid, None)
            return
        failures = self._failures[uid] = self._failures.get(uid, 0) + 1
        # The first refusals may only mean that the server has not seen yet that the pod is ours.
        await asyncio.sleep(min(self._retry, 0.05 * 2 ** failures))
        self._mark(uid)

    async def _try_write(self, uid: str) -> bool:
        try:
            await self._write(uid)
        except errors.StatusError as e:
            if e.code == 404:
                self.forget(uid)
                return True
            log.warning("status of pod %s not written: %s", uid, e)
            return False
        except (TimeoutError, OSError) as e:
            log.warning("status of pod %s not written: %s", uid, e)
            return False
        return True

    async def _write(self, uid: str) -> None:
        entry = self._wanted.get(uid)
        if entry is not None:
            pod, status = entry
            meta = pod["metadata"]
            current = await self._client.get("pods", meta["name"], namespace=meta["namespace"])
            if current["metadata"]["uid"] != uid:
                self.forget(uid)
                return
            patch = difference(current.get("status") or {}, self._merged(current, status))
            if patch:
                await self._client.patch("pods", meta["name"], {"metadata": {"uid": uid}, "status": patch},
                                         namespace=meta["namespace"], subresource="status", type=STRATEGIC_PATCH)
        finished = self._finished.pop(uid, None)
        if finished is not None:
            meta = finished["metadata"]
            try:
                await self._client.delete("pods", meta["name"], namespace=meta["namespace"], uid=uid, grace=0)
            except errors.StatusError as e:
                if e.code not in (404, 409):
                    self._finished[uid] = finished
                    raise
            self._wanted.pop(uid, None)

    @staticmethod
    def _merged(current: Object, status: Object) -> Object:
        """Conditions others own (readiness gates, DisruptionTarget of the API server) stay as they are."""
        from kubewheel.kubelet.status import OWNED

        ours = {c["type"] for c in status.get("conditions") or ()}
        old = (current.get("status") or {}).get("conditions") or []
        theirs = {c["type"]: c for c in old if c["type"] not in OWNED}
        conditions = [theirs.get(c["type"], c) for c in status.get("conditions") or ()]
        conditions += [c for t, c in theirs.items() if t not in ours]
        out = dict(codec.copy(status), conditions=conditions)
        for key, value in (current.get("status") or {}).items():
            if key not in out and key not in ("reason", "message", "resize"):
                out[key] = value
        return out
