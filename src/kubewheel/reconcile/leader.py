"""Leader election over coordination.k8s.io Leases (client-go's leaderelection, with upstream's 15 s / 10 s
/ 2 s).

In: a client, an identity, the work to do while leading. Out: the work, run by one holder at a time.
Called by: run (controller manager, scheduler, cloud controller manager).

Whether a holder is alive is measured by our own loop's time since the Lease last changed, never by
comparing clocks.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.lib import clock as clocks

log = logging.getLogger(__name__)

JITTER = 1.2


class LeadershipLost(Exception):
    """The Lease could not be renewed in time: whoever led must stop at once."""


@dataclass(frozen=True, slots=True)
class Times:
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


class Elector:
    def __init__(
        self,
        client: Client,
        clock: clocks.Clock,
        *,
        name: str,
        identity: str,
        namespace: str = "kube-system",
        times: Times = Times(),
        rng: random.Random | None = None,
        events: Recorder | None = None,
    ) -> None:
        self.name, self.namespace, self.identity = name, namespace, identity
        self.times = times
        self.leader = ""  # who holds the Lease, as last seen
        self._client, self._clock, self._events = client, clock, events
        self._random = rng or random.Random(identity)
        self._seen: Object | None = None
        self._seen_at = 0.0

    def is_leader(self) -> bool:
        return self.leader == self.identity

    async def lead(self, work: Callable[[], Awaitable[None]], *, release: bool = True) -> None:
        """Waits for the Lease, runs `work` while it is renewed. LeadershipLost when it is not; gives the
        Lease back
        when the work ends or is cancelled."""
        await self._acquire()
        task = asyncio.ensure_future(work())
        task.set_name(f"leading:{self.name}")
        renewing = asyncio.ensure_future(self._renew_for_ever())
        renewing.set_name(f"renewing:{self.name}")
        try:
            await asyncio.wait((task, renewing), return_when=asyncio.FIRST_COMPLETED)
            if renewing.done() and not task.done():
                renewing.result()
            task.result()
        finally:
            for t in (task, renewing):
                t.cancel()
            await asyncio.gather(task, renewing, return_exceptions=True)
            if release and self.is_leader():
                await self._release()

    async def _acquire(self) -> None:
        while not await self._try():
            await asyncio.sleep(self.times.retry_period * (1 + JITTER * self._random.random()))
        log.info("%s became leader of %s/%s", self.identity, self.namespace, self.name)
        self._tell(f"{self.identity} became leader")

    async def _renew_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(self.times.retry_period)
            if await self._try():
                renewed = loop.time()
            elif loop.time() - renewed >= self.times.renew_deadline or not self.is_leader():
                self.leader = "" if self.is_leader() else self.leader
                self._tell(f"{self.identity} stopped leading")
                raise LeadershipLost(
                    f"failed to renew lease {self.namespace}/{self.name}: timed out waiting for the condition"
                )

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(self.times.renew_deadline):
                return await self._try_once()
        except (TimeoutError, errors.StatusError, OSError) as e:
            log.debug("lease %s/%s: %s", self.namespace, self.name, e)
            return False

    async def _try_once(self) -> bool:
        lease = await self._client.find("leases.coordination.k8s.io", self.name, namespace=self.namespace)
        stamp = clocks.rfc3339_micro(self._clock.now())
        if lease is None:
            made = await self._client.create(
                "leases.coordination.k8s.io",
                {
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": self.namespace},
                    "spec": self._spec(stamp, stamp, 0),
                },
            )
            self._observe(made)
            return True
        self._observe(lease)
        spec = lease.get("spec") or {}
        if not may_take(spec, self.identity, asyncio.get_running_loop().time() - self._seen_at, self.times):
            return False
        mine = spec.get("holderIdentity") == self.identity
        transitions = int(spec.get("leaseTransitions") or 0)
        new = codec.copy(lease)
        new["spec"] = spec | self._spec(
            (spec.get("acquireTime") or stamp) if mine else stamp,
            stamp,
            transitions if mine else transitions + 1,
        )
        self._observe(await self._client.update("leases.coordination.k8s.io", new))
        return True

    def _spec(self, acquired: str, renewed: str, transitions: int) -> Object:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self.times.lease_duration),
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        }

    def _observe(self, lease: Object) -> None:
        spec = lease.get("spec") or {}
        if self._seen != spec:
            self._seen, self._seen_at = codec.copy(spec), asyncio.get_running_loop().time()
            self.leader = spec.get("holderIdentity") or ""

    async def _release(self) -> None:
        for last in (False, False, True):
            try:
                await self._release_once()
                break
            except (errors.StatusError, OSError) as e:
                # a renewal that was under way when we were told to end may still have been written
                if last or not (isinstance(e, errors.StatusError) and e.code == 409):
                    log.warning("lease %s not released: %s", self.name, e)
                    break
        self.leader = ""

    async def _release_once(self) -> None:
        lease = codec.copy(await self._client.get("leases.coordination.k8s.io", self.name, namespace=self.namespace))
        if lease["spec"].get("holderIdentity") == self.identity:
            del lease["spec"]["holderIdentity"]  # an empty one would be invalid
            lease["spec"]["leaseDurationSeconds"] = 1
            await self._client.update("leases.coordination.k8s.io", lease)

    def _tell(self, message: str) -> None:
        if self._events is not None:
            self._events.event(
                {
                    "kind": "Lease",
                    "apiVersion": "coordination.k8s.io/v1",
                    "metadata": {"name": self.name, "namespace": self.namespace},
                },
                "Normal",
                "LeaderElection",
                message,
            )


def may_take(spec: Object, identity: str, unchanged_for: float, times: Times) -> bool:
    """Ours, nobody's, or its holder has not touched it for as long as it promised."""
    holder = spec.get("holderIdentity") or ""
    if holder in ("", identity):
        return True
    return unchanged_for >= float(spec.get("leaseDurationSeconds") or times.lease_duration)
