"""Each component as a process of its own, with upstream's flags: against our API server or upstream's.

In: options named as the flags (cli/component_flags). Out: runs until cancelled; Ended where it cannot start or go on.
Called by: cli/components. What it is told is turned into values by pure functions; the rest is assembly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
import os
import random
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.lib import clock as clocks
from kubewheel.lib import metrics, tls
from kubewheel.run import components, config_files, health_server
from kubewheel.run.ended import Ended
from kubewheel.run.settings import host_address

if TYPE_CHECKING:
    from kubewheel.client.cache import Caches
    from kubewheel.client.client import Client
    from kubewheel.client.http import Config
    from kubewheel.reconcile.controller import Controller
    from kubewheel.storage.store import Store

log = logging.getLogger(__name__)

LEADING = metrics.REGISTRY.gauge(
    "leader_election_master_status", "Gauge of if the reporting system is master of the relevant lease, 0 indicates "
    "backup, 1 indicates master.", "name")

Options = argparse.Namespace


def _read(path: str, flag: str) -> bytes:
    """A file a flag names; b"" for no name."""
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as e:
        raise Ended(f"--{flag}: open {path}: {(e.strerror or str(e)).lower()}") from e


def _no_listener(address: str, port: int, error: OSError) -> Ended:
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return Ended(f"failed to create listener: failed to listen on {address}:{port}: {why}")


# -- API server -----------------------------------------------------------------------------------------------------
async def apiserver(options: Options) -> None:
    from kubewheel.apiserver.server import Server
    from kubewheel.storage.store import StoreError

    server_options = apiserver_options(options)
    context = await asyncio.to_thread(_apiserver_tls, options, server_options)
    store = open_store(options)
    try:
        await store.start()
    except StoreError as e:  # another API server has the file
        raise Ended(str(e)) from e
    try:
        try:
            server = Server(store, clock=clocks.RealClock(), rng=random.SystemRandom(), options=server_options)
        except ValueError as e:  # a mode, a plugin or a key that is none
            raise Ended(str(e)) from e
        try:
            await server.start()
            await _serve(server, store, options, context)
        finally:
            await server.aclose()
    finally:
        await store.aclose()


async def _serve(server: Any, store: Store, options: Options, context: Any) -> None:
    address, port = options.bind_address, options.secure_port
    serving = components.serving(server, store, address=address, port=port, context=context,
                                 compact_every=options.etcd_compaction_interval)
    try:
        await serving.__aenter__()
    except OSError as e:
        raise _no_listener(address, port, e) from e
    try:
        log.info("serving on https://%s:%d", server.options.advertise_address, port)
        await asyncio.Event().wait()
    finally:
        await serving.__aexit__(None, None, None)


def open_store(options: Options) -> Store:
    """Not started. Which one: --storage-path, or --etcd-servers with one of our schemes."""
    from kubewheel.storage.memory import MemoryStore
    from kubewheel.storage.sqlite import SqliteStore

    kind, path = storage_of(options)
    if kind == "memory":
        return MemoryStore()
    Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteStore(path)


def storage_of(options: Options) -> tuple[str, str]:
    """("memory", "") or ("sqlite", path)."""
    backend, path = options.storage_backend, options.storage_path
    if backend not in ("", "sqlite", "memory"):
        raise Ended(f'--storage-backend={backend} is not in kubewheel, allowed values: sqlite, memory')
    for server in options.etcd_servers:
        if server == "memory":
            backend = "memory"
        elif server.startswith("sqlite:"):
            path = server.removeprefix("sqlite:").removeprefix("//")
        else:
            raise Ended(f"--etcd-servers={server}: etcd is not in kubewheel; use --storage-path=FILE, "
                        "or --etcd-servers=sqlite:FILE or memory")
    if backend == "memory":
        if path:
            raise Ended("the memory backend has no --storage-path")
        return "memory", ""
    if not path:
        raise Ended("--storage-path must be specified (or --etcd-servers=memory)")
    return "sqlite", path


def apiserver_options(options: Options) -> Any:
    """Flags -> apiserver/options.Options. Reads the files they name."""
    from kubewheel.apiserver.options import Options as ServerOptions

    if not options.allow_privileged:
        raise Ended("--allow-privileged=false is not in kubewheel")
    if options.endpoint_reconciler_type not in ("lease", "none"):
        raise Ended(f"--endpoint-reconciler-type={options.endpoint_reconciler_type} is not in kubewheel, "
                    "allowed values: lease, none")
    anonymous = options.anonymous_auth
    if anonymous and "AlwaysAllow" in options.authorization_mode:
        log.warning("AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false.")
        anonymous = False
    if not options.service_account_issuer:
        raise Ended("service-account-issuer is a required flag")
    issuer, *others = options.service_account_issuer
    signing_key, public_keys = _service_account_keys(options)
    return ServerOptions(
        advertise_address=_advertised(options), bind_address=options.bind_address, secure_port=options.secure_port,
        service_cluster_ip_range=_network(options.service_cluster_ip_range),
        service_node_port_range=port_range(options.service_node_port_range),
        authorization_mode=options.authorization_mode, anonymous_auth=anonymous,
        enable_admission_plugins=options.enable_admission_plugins,
        disable_admission_plugins=options.disable_admission_plugins,
        client_ca=_read(options.client_ca_file, "client-ca-file"),
        requestheader_client_ca=_read(options.requestheader_client_ca_file, "requestheader-client-ca-file"),
        requestheader_allowed_names=options.requestheader_allowed_names,
        requestheader_username_headers=options.requestheader_username_headers,
        requestheader_uid_headers=options.requestheader_uid_headers,
        requestheader_group_headers=options.requestheader_group_headers,
        requestheader_extra_headers_prefix=options.requestheader_extra_headers_prefix,
        service_account_key=signing_key, service_account_public_keys=public_keys,
        service_account_issuer=issuer, service_account_other_issuers=tuple(others), api_audiences=options.api_audiences,
        service_account_max_token_expiration=options.service_account_max_token_expiration,
        service_account_extend_token_expiration=options.service_account_extend_token_expiration,
        enable_bootstrap_token_auth=options.enable_bootstrap_token_auth, token_auth_file=options.token_auth_file,
        kubelet_client_certificate=options.kubelet_client_certificate, kubelet_client_key=options.kubelet_client_key,
        kubelet_certificate_authority=options.kubelet_certificate_authority,
        kubelet_preferred_address_types=options.kubelet_preferred_address_types,
        proxy_client_certificate=options.proxy_client_cert_file, proxy_client_key=options.proxy_client_key_file,
        event_ttl=options.event_ttl, publish_kubernetes_service=options.endpoint_reconciler_type != "none")


def _advertised(options: Options) -> str:
    if options.advertise_address:
        return str(options.advertise_address)
    return host_address() if options.bind_address in ("0.0.0.0", "::", "", "127.0.0.1", "::1") else str(options.bind_address)


def _network(text: str) -> str:
    """The first of --service-cluster-ip-range: one family is served."""
    first = text.split(",")[0]
    try:
        return str(ipaddress.ip_network(first, strict=False))
    except ValueError as e:
        raise Ended(f"specified --service-cluster-ip-range {text!r} is not a valid CIDR: {e}") from e


def port_range(text: str) -> tuple[int, int]:
    """ "30000-32767", or "30000+100". """
    for sign in "-+":
        first, found, second = text.partition(sign)
        if found and first.isdigit() and second.isdigit():
            low, high = int(first), int(second) if sign == "-" else int(first) + int(second)
            if 0 < low <= high <= 65535:
                return low, high
    raise Ended(f'invalid argument "{text}" for "--service-node-port-range" flag: unable to parse port range')


def _service_account_keys(options: Options) -> tuple[bytes, tuple[bytes, ...]]:
    """(the PEM that signs, those that verify). Without a signing key one is made, once, in --cert-dir."""
    public = tuple(_read(path, "service-account-key-file") for path in options.service_account_key_file)
    if options.service_account_signing_key_file:
        return _read(options.service_account_signing_key_file, "service-account-signing-key-file"), public
    if (private := next((pem for pem in public if b"PRIVATE KEY" in pem), None)) is not None:
        return private, public
    path = Path(options.cert_dir) / "service-account.key"
    if not path.exists():
        log.warning("no --service-account-signing-key-file: made %s", path)
        tls.write_private(path, tls.new_rsa_key())
    return path.read_bytes(), public


def _apiserver_tls(options: Options, server_options: Any) -> Any:
    """The certificate named, or a self-signed one kept in --cert-dir (upstream's apiserver.crt)."""
    authorities = server_options.client_ca + server_options.requestheader_client_ca
    if bool(options.tls_cert_file) != bool(options.tls_private_key_file):
        raise Ended("--tls-cert-file and --tls-private-key-file must be specified together")
    cert, key = Path(options.tls_cert_file), Path(options.tls_private_key_file)
    if not options.tls_cert_file:
        cert, key = Path(options.cert_dir) / "apiserver.crt", Path(options.cert_dir) / "apiserver.key"
        if not (cert.exists() and key.exists()):
            service = str(ipaddress.ip_network(server_options.service_cluster_ip_range)[1])
            pair = health_server.self_signed("kubernetes", ips=(server_options.advertise_address, service))
            tls.write_private(key, pair.key)
            tls.write_atomic(cert, pair.cert)
            log.info("generated self-signed cert (%s, %s)", cert, key)
    try:
        return tls.server_context(cert, key, client_ca=authorities or None)
    except (OSError, ValueError) as e:
        raise Ended(f"failed to load certificate {cert}: {e}") from e


# -- what all clients of an API server share ------------------------------------------------------------------------
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


async def _as_leader(options: Options, client: Client, component: str, work: Callable[[], Awaitable[None]]) -> None:
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
async def _health(options: Options, client: Client, name: str) -> AsyncIterator[None]:
    """/healthz and /metrics on --secure-port, for as long as the block lasts, leading or not."""
    async with contextlib.AsyncExitStack() as stack:
        async def asked(kubeconfig: str) -> Client:
            if not kubeconfig:
                return client
            return (await stack.enter_async_context(components.connected(client_config(kubeconfig), name)))[0]

        server = health_server.HealthServer(health_server.Options(
            bind_address=options.bind_address, port=options.secure_port, tls_cert_file=options.tls_cert_file,
            tls_private_key_file=options.tls_private_key_file, tls_min_version=options.tls_min_version,
            client_ca=_read(options.client_ca_file, "client-ca-file"),
            always_allow_paths=options.authorization_always_allow_paths),
            name=name, tokens=await asked(options.authentication_kubeconfig),
            access=await asked(options.authorization_kubeconfig))
        try:
            await server.start()
        except OSError as e:
            raise _no_listener(options.bind_address, options.secure_port, e) from e
        stack.push_async_callback(server.aclose)
        yield


# -- controller manager -----------------------------------------------------------------------------------------------
# --concurrent-<name>-syncs -> the controllers whose workers it counts
SYNCS = {
    "cron_job": ("cronjob-controller",), "daemonset": ("daemonset-controller",),
    "deployment": ("deployment-controller",), "endpoint": ("endpoints-controller",),
    "gc": ("garbage-collector-controller",), "job": ("job-controller",), "namespace": ("namespace-controller",),
    "rc": ("replicationcontroller-controller",), "replicaset": ("replicaset-controller",),
    "resource_quota": ("resourcequota-controller",), "service_endpoint": ("endpointslice-controller",),
    "statefulset": ("statefulset-controller",), "ttl_after_finished": ("ttl-after-finished-controller",),
}


async def controller_manager(options: Options) -> None:
    chosen = chosen_controllers(options)
    if options.leader_elect:
        election_times(options)
    agent = "kube-controller-manager"
    config = client_config(options.kubeconfig, options.master)
    async with components.connected(config, agent) as (client, caches), _health(options, client, agent):
        await _as_leader(options, client, agent, partial(run_controllers, options, chosen, config, client, caches))


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
        recorder = Recorder(own, clock, component=controller.name)
        recorders.append(recorder)
        return Context(client=own, caches=caches, clock=clock, random=rng, events=recorder, options=flags)

    try:
        await runner.run(chosen, make_context)
    finally:
        for recorder in recorders:
            await recorder.aclose()
        await plain.aclose()


# -- scheduler ----------------------------------------------------------------------------------------------------
async def scheduler(options: Options) -> None:
    from kubewheel.client.events import Recorder
    from kubewheel.scheduler.loop import Scheduler
    from kubewheel.scheduler.profile import ConfigError

    document = None
    if options.config:  # flags of the command line win over the file
        from_file, document = config_files.scheduler(options.config)
        for name, value in from_file.items():
            if name not in options.given:
                setattr(options, name, value)
    if options.leader_elect:
        election_times(options)
    agent = "kube-scheduler"
    config = client_config(options.kubeconfig, options.master)
    async with components.connected(config, agent) as (client, caches), _health(options, client, agent):
        clock = clocks.RealClock()
        recorder = Recorder(client, clock, component="default-scheduler")
        try:
            try:
                one = Scheduler(client, caches, clock, random.SystemRandom(), document, recorder)
            except ConfigError as e:
                raise Ended(f"initializing profiles: {e}") from e
            await _as_leader(options, client, agent, one.run)
        finally:
            await recorder.aclose()


# -- kubelet ------------------------------------------------------------------------------------------------------
async def kubelet(options: Options) -> None:
    from kubewheel.client.events import Recorder
    from kubewheel.kubelet.kubelet import Kubelet

    if not options.kubeconfig:
        raise Ended("--kubeconfig must be specified: a kubelet without an API server is not in kubewheel")
    kubelet_options_ = kubelet_options(options)
    clock = clocks.RealClock()
    async with components.connected(client_config(options.kubeconfig), "kubelet") as (client, caches):
        recorder = Recorder(client, clock, component="kubelet", host=kubelet_options_.node_name)
        try:
            await Kubelet(client, caches, clock, random.SystemRandom(), recorder, kubelet_options_).run()
        except OSError as e:
            raise Ended(f"failed to run Kubelet: {e}") from e
        finally:
            await recorder.aclose()


def kubelet_options(options: Options) -> Any:
    """Defaults, under the --config file, under flags of the command line -> kubelet/options.Options."""
    from kubewheel.kubelet import options as own

    values: dict[str, Any] = config_files.kubelet(options.config) if options.config else {}
    known = {f.name for f in dataclasses.fields(own.Options)}
    values |= {name: getattr(options, name) for name in options.given & known}
    name = options.hostname_override or socket.gethostname().lower()
    values |= {"node_name": name, "node_ip": options.node_ip or host_address(), "root_dir": options.root_dir}
    if "register_with_taints" in options.given:
        values["register_with_taints"] = tuple(taint(text) for text in options.register_with_taints)
    if isinstance(values.get("container_log_max_size"), str):
        values["container_log_max_size"] = config_files.size(values["container_log_max_size"])
    if not values.get("cgroup_root"):
        values["cgroup_root"] = "/"
    if values.get("healthz_port") == 0:
        values["healthz_port"] = -1  # off; 0 would be any free port
    if values.get("authorization_mode", "Webhook") not in ("Webhook", "AlwaysAllow"):
        raise Ended(f"invalid kubelet authorization mode {values['authorization_mode']!r}")
    made = own.Options(**values)
    if not made.tls_cert_file:
        from kubewheel.kubelet.server import serving_certificate

        made.tls_cert_file, made.tls_private_key_file = serving_certificate.ensure(
            options.cert_dir if "cert_dir" in options.given else f"{options.root_dir}/pki", name, (made.node_ip,),
            clocks.RealClock().now())
    return made


def taint(text: str) -> dict[str, str]:
    """key=value:effect or key:effect."""
    pair, colon, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    if not colon or not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise Ended(f'invalid argument "{text}" for "--register-with-taints" flag: invalid taint spec: {text}')
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


# -- proxy --------------------------------------------------------------------------------------------------------
async def proxy(options: Options) -> None:
    from kubewheel.proxy.backends.nftables import Nftables
    from kubewheel.proxy.proxier import Options as ProxyOptions
    from kubewheel.proxy.proxier import Proxier

    values = proxy_values(options)
    backend = Nftables(cluster_cidr=values["cluster_cidr"])
    if options.cleanup:
        await backend.remove()
        return
    health, health_port = config_files.endpoint(values["healthz_bind_address"], port=10256)
    metrics_address, metrics_port = config_files.endpoint(values["metrics_bind_address"], port=10249)
    periods = {name: values[name] for name in ("sync_period", "min_sync_period") if name in values}
    async with components.connected(client_config(values["kubeconfig"], options.master), "kube-proxy") as (_, caches):
        try:
            await Proxier(caches, backend, ProxyOptions(
                node_name=values["hostname_override"] or socket.gethostname().lower(),
                healthz_bind_address=health, healthz_port=health_port, metrics_bind_address=metrics_address,
                metrics_port=metrics_port, **periods)).run()
        except OSError as e:
            raise Ended(f"{e.strerror or e}") from e


def proxy_values(options: Options) -> dict[str, Any]:
    """Flags; with --config the file alone but for --hostname-override and --proxy-mode, as upstream has it."""
    names = ("hostname_override", "proxy_mode", "cluster_cidr", "healthz_bind_address", "metrics_bind_address",
             "kubeconfig")
    values = {name: getattr(options, name) for name in names}
    if options.config:
        values |= config_files.proxy(options.config)
        values |= {n: getattr(options, n) for n in ("hostname_override", "proxy_mode") if n in options.given}
    if values["proxy_mode"] not in ("", "nftables"):
        raise Ended(f"--proxy-mode={values['proxy_mode']} is not in kubewheel: only nftables is")
    if values["cluster_cidr"]:
        try:
            ipaddress.ip_network(values["cluster_cidr"], strict=False)
        except ValueError as e:
            raise Ended(f'clusterCIDR: Invalid value: "{values["cluster_cidr"]}": must be a valid CIDR') from e
    return values


COMPONENTS: dict[str, Callable[[Options], Awaitable[None]]] = {
    "apiserver": apiserver, "controller-manager": controller_manager, "scheduler": scheduler, "kubelet": kubelet,
    "proxy": proxy,
}
