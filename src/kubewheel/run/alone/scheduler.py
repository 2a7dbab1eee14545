"""kube-scheduler alone.

In: options named as the flags, and the --config file under them. Out: runs until cancelled. Called by: run/alone.
"""

from __future__ import annotations

import random

from kubewheel.lib import clock as clocks
from kubewheel.run import components, config_files, configz
from kubewheel.run.alone import common
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended


async def run(options: Options) -> None:
    from kubewheel.client.events import Recorder
    from kubewheel.scheduler import plugins
    from kubewheel.scheduler.loop import Scheduler
    from kubewheel.scheduler.profile import ConfigError

    document = None
    if options.config:  # flags of the command line win over the file
        from_file, document = config_files.scheduler(options.config)
        for name, value in from_file.items():
            if name not in options.given:
                setattr(options, name, value)
    common.note_gates(options)
    if options.leader_elect:
        common.election_times(options)
    agent = "kube-scheduler"
    config = common.client_config(options.kubeconfig, options.master)
    async with components.connected(config, agent) as (client, caches), common.health(
            options, client, agent, configz.scheduler(options, document, plugins.DEFAULTS)):
        clock = clocks.RealClock()
        recorder = Recorder(client, clock, component="default-scheduler")
        try:
            try:
                one = Scheduler(client, caches, clock, random.SystemRandom(), document, recorder)
            except ConfigError as e:
                raise Ended(f"initializing profiles: {e}") from e
            await common.as_leader(options, client, agent, one.run)
        finally:
            await recorder.aclose()
