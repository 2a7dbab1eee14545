"""Recording events (core/v1 Event) with upstream's aggregation: equal events raise a count.

In: (object, type, reason, message). Out: Event objects, written in the background; a failed write is logged.
Called by: controllers, scheduler, kubelet.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any

from kubewheel.api import errors
from kubewheel.api.resource import Object
from kubewheel.client.client import MERGE_PATCH, Client
from kubewheel.lib import clock as clocks
from kubewheel.lib.supervise import Tasks

log = logging.getLogger(__name__)

MAX_REMEMBERED = 4096


def reference(obj: Object) -> Object:
    """The ObjectReference of an object (involvedObject)."""
    meta = obj["metadata"]
    out = {"kind": obj.get("kind", ""), "namespace": meta.get("namespace", ""), "name": meta["name"],
           "uid": meta.get("uid", ""), "apiVersion": obj.get("apiVersion", ""),
           "resourceVersion": meta.get("resourceVersion", ""), "fieldPath": obj.get("fieldPath", "")}
    return {k: v for k, v in out.items() if v}


class Recorder:
    def __init__(self, client: Client, clock: clocks.Clock, *, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._source = {"component": component} | ({"host": host} if host else {})
        self._component = component
        self._seen: OrderedDict[tuple[Any, ...], tuple[str, str, int]] = OrderedDict()  # -> namespace, name, count
        self._queue: asyncio.Queue[tuple[Object, str, str, str]] = asyncio.Queue(maxsize=10_000)
        self._tasks = Tasks(f"events-{component}")
        self._writer: asyncio.Task[object] | None = None
        self._last_nanos = 0

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """`obj` is the object or an ObjectReference-like dict with kind, apiVersion, metadata.
        Never blocks; past 10,000 waiting events the newest is dropped, as upstream does."""
        ref = reference(obj)
        if field_path:
            ref["fieldPath"] = field_path
        if self._writer is None:
            self._writer = self._tasks.spawn("writer", self._write_all())
        try:
            self._queue.put_nowait((ref, type, reason, message))
        except asyncio.QueueFull:
            log.warning("dropped event %s %s: too many waiting", reason, message)

    async def aclose(self) -> None:
        await self._tasks.aclose()

    async def _write_all(self) -> None:
        while True:
            ref, type_, reason, message = await self._queue.get()
            try:
                await self._write(ref, type_, reason, message)
            except (errors.StatusError, OSError) as e:
                if not (isinstance(e, errors.StatusError) and e.code in (403, 404)):  # namespace is going away
                    log.warning("event %s not written: %s", reason, e)
            await asyncio.sleep(0)  # an in-process write need not wait for anything: let the work go first

    async def _write(self, ref: Object, type_: str, reason: str, message: str) -> None:
        now = self._clock.now()
        identity = (ref.get("kind"), ref.get("namespace"), ref.get("name"), ref.get("uid"), ref.get("fieldPath"),
                    type_, reason, message)
        namespace = ref.get("namespace") or "default"
        known = self._seen.get(identity)
        if known is not None:
            _, name, count = known
            self._seen[identity] = (namespace, name, count + 1)
            patch = {"count": count + 1, "lastTimestamp": clocks.rfc3339(now)}
            try:
                await self._client.patch("events", name, patch, namespace=namespace, type=MERGE_PATCH)
                return
            except errors.StatusError as e:
                if e.code != 404:
                    raise
        # Two events in one tick (virtual time has many) still need two names.
        self._last_nanos = max(int(now * 1e9), self._last_nanos + 1)
        name = f"{ref['name']}.{self._last_nanos:x}"
        stamp = clocks.rfc3339(now)
        await self._client.create("events", {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": ref, "reason": reason, "message": message, "type": type_, "count": 1,
            "firstTimestamp": stamp, "lastTimestamp": stamp, "source": self._source,
            "reportingComponent": self._component, "reportingInstance": self._source.get("host", ""),
        }, namespace=namespace)
        self._seen[identity] = (namespace, name, 1)
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
