"""API server, controllers and scheduler in one loop: what `up` runs as one process and tests run in theirs.

In: a Store, Options, clock, chance. Out: a running ControlPlane. Assembly only.
Called by: run/components.py, testing/cluster.py.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from kubewheel import controllers
from kubewheel.apiserver.options import Options
from kubewheel.apiserver.server import Server
from kubewheel.client.cache import Caches
from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.client.inprocess import component
from kubewheel.client.transport import Identity
from kubewheel.lib import clock as clocks
from kubewheel.lib.supervise import Tasks
from kubewheel.reconcile import runner
from kubewheel.reconcile.controller import Context, Controller
from kubewheel.storage.store import Store

MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"


def controller_identity(controller: Controller) -> Identity:
    """Each controller acts as its own service account (--use-service-account-credentials)."""
    account = controllers.account(controller)
    if not account:
        return component(MANAGER)
    account = f"system:serviceaccount:kube-system:{account}"
    return component(account, "system:serviceaccounts", "system:serviceaccounts:kube-system")


class ControlPlane:
    def __init__(self, store: Store, *, clock: clocks.Clock, rng: random.Random, options: Options,
                 controller_flag: str = "*", controller_options: Mapping[str, Any] | None = None,
                 with_scheduler: bool = True, scheduler_config: Any = None) -> None:
        self.store = store
        self.clock = clock
        self.random = rng
        self.selected = controllers.select(controller_flag) if controller_flag else ()
        self.server = Server(store, clock=clock, rng=rng, options=options)
        self._controller_options = dict(controller_options or {})
        self._with_scheduler = with_scheduler
        self._scheduler_config = scheduler_config
        self._tasks = Tasks("control-plane")
        self._recorders: list[Recorder] = []
        self._caches: list[Caches] = []
        self.scheduler: Any = None

    async def start(self) -> None:
        """Returns when the API serves; controllers and scheduler come up in the background."""
        await self.server.start()
        self._tasks.spawn("rest", self._start_rest())

    async def aclose(self) -> None:
        await self._tasks.aclose()
        for recorder in self._recorders:
            await recorder.aclose()
        for caches in self._caches:
            await caches.aclose()
        await self.server.aclose()

    async def _start_rest(self) -> None:
        await self.server.bootstrap.wait_ready()  # identities need their roles first
        if self.selected:
            self._start_controllers()
        if self._with_scheduler:
            self._start_scheduler()

    def _start_controllers(self) -> None:
        caches = self._own_caches(self.server.client_for(component(MANAGER), user_agent="kube-controller-manager"))

        def make_context(controller: Controller) -> Context:
            agent = f"kube-controller-manager/{controller.name}"
            client = self.server.client_for(controller_identity(controller), user_agent=agent)
            client.manager = "kube-controller-manager"
            events = self.recorder(client, controller.events_as or controller.name)
            return Context(client=client, caches=caches, clock=self.clock, random=self.random, events=events,
                           options=self._controller_options)

        self._tasks.spawn("controllers", runner.run(self.selected, make_context))

    def _start_scheduler(self) -> None:
        from kubewheel.scheduler.loop import Scheduler

        client = self.server.client_for(component(SCHEDULER), user_agent="kube-scheduler")
        client.manager = "kube-scheduler"
        self.scheduler = Scheduler(
            client, caches=self._own_caches(client), clock=self.clock, random=self.random,
            config=self._scheduler_config, events=self.recorder(client, "default-scheduler"))
        self._tasks.spawn("scheduler", self.scheduler.run())

    def _own_caches(self, client: Client) -> Caches:
        caches = Caches(client, rng=self.random)
        self._caches.append(caches)
        return caches

    def recorder(self, client: Client, name: str) -> Recorder:
        recorder = Recorder(client, self.clock, component=name)
        self._recorders.append(recorder)
        return recorder
