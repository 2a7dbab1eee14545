"""kube-controller-manager alone: which controllers, how many workers, as whom.

In: options named as the flags. Out: runs until cancelled. Called by: run/alone.
"""

from __future__ import annotations

import dataclasses
import random
from functools import partial
from typing import TYPE_CHECKING

from kubewheel.lib import clock as clocks
from kubewheel.run import components, configz
from kubewheel.run.alone import common
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended

if TYPE_CHECKING:
    from kubewheel.client.cache import Caches
    from kubewheel.client.client import Client
    from kubewheel.client.http import Config
    from kubewheel.reconcile.controller import Controller


# --concurrent-<name>-syncs -> the controllers whose workers it counts
SYNCS = {
    "cron_job": ("cronjob-controller",), "daemonset": ("daemonset-controller",),
    "deployment": ("deployment-controller",), "endpoint": ("endpoints-controller",),
    "gc": ("garbage-collector-controller",), "job": ("job-controller",), "namespace": ("namespace-controller",),
    "rc": ("replicationcontroller-controller",), "replicaset": ("replicaset-controller",),
    "resource_quota": ("resourcequota-controller",), "service_endpoint": ("endpointslice-controller",),
    "statefulset": ("statefulset-controller",), "ttl_after_finished": ("ttl-after-finished-controller",),
}


async def run(options: Options) -> None:
    chosen = chosen_controllers(options)
    common.note_gates(options)
    if options.leader_elect:
        common.election_times(options)
    agent = "kube-controller-manager"
    config = common.client_config(options.kubeconfig, options.master)
    async with components.connected(config, agent) as (client, caches), common.health(
            options, client, agent, configz.controller_manager(options)):
        await common.as_leader(options, client, agent, partial(run_controllers, options, chosen, config, client, caches))


def chosen_controllers(options: Options) -> tuple[Controller, ...]:
    """--controllers, with the workers --concurrent-*-syncs asks for."""
    from kubewheel import controllers

    try:
        chosen = controllers.select(",".join(options.controllers))
    except controllers.UnknownController as e:
        raise Ended(str(e)) from e
    workers: dict[str, int] = {}
    for flag, names in SYNCS.items():
        count = getattr(options, f"concurrent_{flag}_syncs")
        if count < 1:
            raise Ended(f"concurrent-{flag.replace('_', '-')}-syncs must be greater than 0, but got {count}")
        if f"concurrent_{flag}_syncs" in options.given:
            workers |= dict.fromkeys(names, count)
    return tuple(dataclasses.replace(c, workers=workers.get(c.name, c.workers)) for c in chosen)


async def run_controllers(options: Options, chosen: tuple[Controller, ...], config: Config, client: Client,
                          caches: Caches) -> None:
    from kubewheel import controllers
    from kubewheel.client.client import Client as ApiClient
    from kubewheel.client.events import Recorder
    from kubewheel.client.http import Http
    from kubewheel.reconcile import runner
    from kubewheel.reconcile.controller import Context
    from kubewheel.run.account_transport import AccountTransport

    clock, rng, recorders = clocks.RealClock(), random.SystemRandom(), []
    flags = {name.replace("_", "-"): value for name, value in vars(options).items() if not name.startswith("_")}
    plain = Http(dataclasses.replace(config, certificate=b"", key=b"", token="", token_file=""),
                 user_agent="kube-controller-manager")

    def make_context(controller: Controller) -> Context:
        own, account = client, controllers.account(controller)
        if options.use_service_account_credentials and account:
            own = ApiClient(AccountTransport(client, plain, account), manager="kube-controller-manager")
        recorder = Recorder(own, clock, component=controller.events_as or controller.name)
        recorders.append(recorder)
        return Context(client=own, caches=caches, clock=clock, random=rng, events=recorder, options=flags)

    try:
        await runner.run(chosen, make_context)
    finally:
        for recorder in recorders:
            await recorder.aclose()
        await plain.aclose()
