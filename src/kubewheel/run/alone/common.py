"""What the components have in common: files of flags, clients, leader election, the health server.

In: options named as the flags. Out: values, or Ended with upstream's words. Called by: the components beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import random
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.api import features
from kubewheel.lib import clock as clocks
from kubewheel.lib import metrics
from kubewheel.run import components, health_server
from kubewheel.run.ended import Ended

if TYPE_CHECKING:
    from kubewheel.client.client import Client
    from kubewheel.client.http import Config


log = logging.getLogger(__name__)

LEADING = metrics.REGISTRY.gauge(
    "leader_election_master_status", "Gauge of if the reporting system is master of the relevant lease, 0 indicates "
    "backup, 1 indicates master.", "name")

Options = argparse.Namespace


def read(path: str, flag: str) -> bytes:
    """A file a flag names; b"" for no name."""
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as e:
        raise Ended(f"--{flag}: open {path}: {(e.strerror or str(e)).lower()}") from e


def no_listener(address: str, port: int, error: OSError) -> Ended:
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return Ended(f"failed to create listener: failed to listen on {address}:{port}: {why}")


def note_gates(options: Options) -> None:
    """Says which gates were set to what kubewheel does not do by them."""
    for name, value in options.feature_gates.items():
        if value != features.GATES[name][1] and name not in features.WITH_EFFECT:
            log.warning("feature gate %s=%s is shown and switches nothing in kubewheel", name, str(value).lower())


def client_config(kubeconfig: str, master: str = "") -> Config:
    """As client-go: the kubeconfig, --master over it, without both the pod's service account."""
    from kubewheel.client import http

    try:
        config = http.load_kubeconfig(kubeconfig) if kubeconfig or not master else http.Config(server=master)
    except (http.ConfigError, OSError, KeyError, TypeError) as e:
        if kubeconfig:
            raise Ended(f"invalid configuration: {e}") from e
        try:
            config = http.in_cluster()
        except (http.ConfigError, OSError) as again:
            raise Ended(f"invalid configuration: no configuration has been provided: {again}") from again
    return dataclasses.replace(config, server=master) if master else config


def election_times(options: Options) -> Any:
    from kubewheel.reconcile import leader

    times = leader.Times(options.leader_elect_lease_duration, options.leader_elect_renew_deadline,
                         options.leader_elect_retry_period)
    if options.leader_elect_resource_lock != "leases":
        raise Ended(f'Invalid value: "{options.leader_elect_resource_lock}": resourceLock value must be "leases"')
    if times.lease_duration <= times.renew_deadline:
        raise Ended("LeaseDuration must be greater than RenewDeadline")
    if times.renew_deadline <= times.retry_period * leader.JITTER:
        raise Ended("renewDeadline must be greater than retryPeriod*JitterFactor")
    if times.lease_duration < 1 or times.retry_period <= 0:
        raise Ended("leaseDuration, renewDeadline and retryPeriod must be greater than zero")
    return times


async def as_leader(options: Options, client: Client, component: str, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work` while leading; at once where --leader-elect=false."""
    from kubewheel.client.events import Recorder
    from kubewheel.reconcile import leader

    if not options.leader_elect:
        await work()
        return
    clock = clocks.RealClock()
    recorder = Recorder(client, clock, component=component)
    elector = leader.Elector(
        client, clock, name=options.leader_elect_resource_name, namespace=options.leader_elect_resource_namespace,
        identity=f"{socket.gethostname().lower()}_{uuid.uuid4()}", times=election_times(options),
        rng=random.SystemRandom(), events=recorder)

    async def leading() -> None:
        LEADING.set(1, elector.name)
        try:
            await work()
        finally:
            LEADING.set(0, elector.name)

    LEADING.set(0, elector.name)
    try:
        await elector.lead(leading)
    except leader.LeadershipLost as e:
        raise Ended(f"leaderelection lost: {e}") from e
    finally:
        await recorder.aclose()


@contextlib.asynccontextmanager
async def health(options: Options, client: Client, name: str, configz: dict[str, Any]) -> AsyncIterator[None]:
    """/healthz, /metrics and /configz on --secure-port, for as long as the block lasts, leading or not."""
    async with contextlib.AsyncExitStack() as stack:
        async def asked(kubeconfig: str) -> Client:
            if not kubeconfig:
                return client
            return (await stack.enter_async_context(components.connected(client_config(kubeconfig), name)))[0]

        server = health_server.HealthServer(health_server.Options(
            bind_address=options.bind_address, port=options.secure_port, tls_cert_file=options.tls_cert_file,
            tls_private_key_file=options.tls_private_key_file, tls_min_version=options.tls_min_version,
            client_ca=read(options.client_ca_file, "client-ca-file"),
            always_allow_paths=options.authorization_always_allow_paths, tls_cipher_suites=options.tls_cipher_suites,
            tls_sni_cert_key=options.tls_sni_cert_key, profiling=options.profiling, flags=options.flagz,
            feature_gates=options.feature_gates, configz=configz),
            name=name, tokens=await asked(options.authentication_kubeconfig),
            access=await asked(options.authorization_kubeconfig))
        try:
            await server.start()
        except OSError as e:
            raise no_listener(options.bind_address, options.secure_port, e) from e
        stack.push_async_callback(server.aclose)
        yield
