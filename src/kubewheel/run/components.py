"""The processes: what each one holds, started and ended in order. Assembly only; decisions live elsewhere.

In: Settings. Out: a process that runs until SIGTERM or SIGINT. Called by: cli (`kubewheel control-plane`, `node` …).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubewheel.api import build
from kubewheel.lib import clock as clocks
from kubewheel.lib import garbage, process_metrics, supervise, tls
from kubewheel.run import certificates, kubeconfigs
from kubewheel.run.ended import Ended
from kubewheel.run.settings import Settings

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server
    from kubewheel.client.cache import Caches
    from kubewheel.client.client import Client
    from kubewheel.client.http import Config
    from kubewheel.storage.store import Store

log = logging.getLogger(__name__)


def run_process(main: Callable[[], Awaitable[None]]) -> int:
    """Runs `main` on uvloop until it ends or a signal asks; 0, or 1 after a crash."""
    import uvloop

    garbage.collect_rarely()
    process_metrics.register()
    build.record()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signalled(main))


async def _until_signalled(main: Callable[[], Awaitable[None]]) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_loop_error)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(main())
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        await work  # a crash is raised here, and ends the process with its trace
        return 0
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return 0


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A peer that ends a TLS handshake (a port probe, another CA) is its affair: one line, as upstream's server
    writes. aiofastnet's trace of it cannot even be printed."""
    if "SSL handshake" in str(context.get("message", "")):
        log.info("http: TLS handshake error: %s", context.get("exception"))
    else:
        loop.default_exception_handler(context)


def ensure_pki(settings: Settings) -> certificates.Pki:
    """Certificates and kubeconfigs, made or mended."""
    pki = certificates.ensure(
        settings.pki_dir, hosts=(settings.node_name,), ips=(settings.node_ip, settings.service_ip(1)),
        clock=clocks.RealClock(), node_name=settings.node_name)
    settings.kubeconfig_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfigs.write_all(settings.kubeconfig_dir, pki, server=settings.server_url)
    return pki


# -- control plane ------------------------------------------------------------------------------------------------
def server_options(settings: Settings, pki: certificates.Pki) -> Any:
    from kubewheel.apiserver.options import Options

    return Options(
        advertise_address=settings.node_ip, secure_port=settings.secure_port,
        service_cluster_ip_range=settings.service_cidr, client_ca=pki.ca, requestheader_client_ca=pki.front_proxy_ca,
        service_account_key=pki.service_account_key,
        kubelet_client_certificate=str(pki.cert("apiserver-kubelet-client")),
        kubelet_client_key=str(pki.key("apiserver-kubelet-client")),
        kubelet_certificate_authority=str(pki.cert("ca")),
        proxy_client_certificate=str(pki.cert("front-proxy-client")), proxy_client_key=str(pki.key("front-proxy-client")))


def serving_context(pki: certificates.Pki) -> ssl.SSLContext:
    return tls.server_context(pki.cert("apiserver"), pki.key("apiserver"), client_ca=pki.ca + pki.front_proxy_ca)


@contextlib.asynccontextmanager
async def serving(server: Server, store: Store, *, address: str, port: int, context: ssl.SSLContext,
                  compact_every: float = 300.0) -> AsyncIterator[None]:
    """HTTPS in front of a started server; the store is compacted meanwhile. Watches end before the server does."""
    from kubewheel.apiserver import http
    from kubewheel.storage import compaction

    front = http.Front(server.chain, streams=server.aggregator.streams)
    compacting = asyncio.ensure_future(compaction.compact_every(store, compact_every)) if compact_every else None
    try:
        await front.listen(address, port, context)
        yield
    finally:
        server.endpoints.health.stopping = True
        await asyncio.sleep(server.options.shutdown_delay)  # load balancers see /readyz fail and turn elsewhere
        if compacting is not None:
            compacting.cancel()
        await front.aclose()


async def control_plane(settings: Settings) -> None:
    """API server on SQLite, controllers, scheduler: one loop."""
    from kubewheel.run.control_plane import ControlPlane
    from kubewheel.storage.sqlite import SqliteStore

    pki = ensure_pki(settings)
    settings.store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = SqliteStore(settings.store)
    await store.start()
    ca = pki.pair("ca")
    plane = ControlPlane(
        store, clock=clocks.RealClock(), rng=random.SystemRandom(), options=server_options(settings, pki),
        controller_flag=settings.controllers,
        controller_options={
            "root-ca": ca.cert, "cluster-signing-cert": ca.cert, "cluster-signing-key": ca.key,
            "cluster-cidr": settings.pod_cidr, "node-cidr-mask-size": settings.node_cidr_mask_size,
            "allocate-node-cidrs": True, "service-account-private-key": pki.service_account_key,
            "service-cluster-ip-range": settings.service_cidr})
    try:
        await plane.start()
        async with serving(plane.server, store, address="0.0.0.0", port=settings.secure_port,
                           context=serving_context(pki)):
            log.info("serving on %s", settings.server_url)
            raise Ended(f"the store failed: {await store.failure()}")  # the supervisor starts us again
    finally:
        await plane.aclose()
        await store.aclose()


# -- node ---------------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def http_client(kubeconfig: Path, agent: str) -> AsyncIterator[tuple[Client, Caches]]:
    """(Client, Caches) by a kubeconfig file."""
    from kubewheel.client.http import load_kubeconfig

    async with connected(load_kubeconfig(kubeconfig), agent) as both:
        yield both


@contextlib.asynccontextmanager
async def connected(config: Config, agent: str) -> AsyncIterator[tuple[Client, Caches]]:
    """(Client, Caches) of the server and the identity in `config`."""
    from kubewheel.client.cache import Caches
    from kubewheel.client.client import Client
    from kubewheel.client.http import Http

    client = Client(Http(config, user_agent=agent), manager=agent)
    caches = Caches(client, rng=random.SystemRandom())
    try:
        yield client, caches
    finally:
        await caches.aclose()
        await client.aclose()


async def node(settings: Settings) -> None:
    """Network, kubelet and proxy: one loop."""
    await _wait_for_file(settings.kubeconfig_dir / "kubelet.conf")
    parts = (("network", network), ("kubelet", kubelet), ("proxy", proxy))
    async with asyncio.TaskGroup() as group:  # one that crashes is started again; the others go on
        for name, part in parts:
            group.create_task(supervise.keep_running(name, partial(part, settings)), name=name)


async def network(settings: Settings) -> None:
    """The node's bridge and CNI configuration, as soon as its pod range is known."""
    from kubewheel.network import cni
    from kubewheel.run import containerd

    known: asyncio.Queue[str] = asyncio.Queue()
    async with http_client(settings.kubeconfig_dir / "kubelet.conf", "kubewheel-network") as (_, caches):
        nodes = caches.get("nodes", field_selector=f"metadata.name={settings.node_name}")
        nodes.subscribe(lambda old, new: known.put_nowait((new or {}).get("spec", {}).get("podCIDR", "")))
        current = ""
        while True:
            pod_cidr = await known.get()
            if pod_cidr and pod_cidr != current:
                await asyncio.to_thread(cni.ensure, cni.Network(
                    pod_cidr=pod_cidr, cluster_cidr=settings.pod_cidr, service_cidr=settings.service_cidr,
                    conf_dir=containerd.cni_conf_dir(settings), ipam_dir=settings.run_dir / "cni" / "networks",
                    mtu=cni.uplink_mtu()))
                current = pod_cidr
                log.info("the pods of this node have addresses of %s", pod_cidr)


async def kubelet(settings: Settings) -> None:
    from kubewheel.client.events import Recorder
    from kubewheel.kubelet.kubelet import Kubelet

    pki = certificates.Pki(settings.pki_dir, settings.node_name)
    async with http_client(settings.kubeconfig_dir / "kubelet.conf", "kubelet") as (client, caches):
        clock = clocks.RealClock()
        recorder = Recorder(client, clock, component="kubelet", host=settings.node_name)
        try:
            await Kubelet(client, caches, clock, random.SystemRandom(), recorder, kubelet_options(settings, pki)).run()
        finally:
            await recorder.aclose()


def kubelet_options(settings: Settings, pki: certificates.Pki) -> Any:
    from kubewheel.kubelet.options import Options

    return Options(
        node_name=settings.node_name, node_ip=settings.node_ip, root_dir=str(settings.kubelet_dir),
        container_runtime_endpoint=settings.runtime_endpoint, cluster_dns=(settings.service_ip(10),),
        cluster_domain=settings.domain, port=settings.kubelet_port,
        tls_cert_file=str(pki.cert("kubelet-server")), tls_private_key_file=str(pki.key("kubelet-server")),
        client_ca_file=str(pki.cert("ca")), pod_manifest_path=str(settings.data_dir / "manifests"))


async def proxy(settings: Settings) -> None:
    from kubewheel.proxy.backends.nftables import Nftables
    from kubewheel.proxy.proxier import Options, Proxier

    async with http_client(settings.kubeconfig_dir / "proxy.conf", "kube-proxy") as (_, caches):
        await Proxier(caches, Nftables(cluster_cidr=settings.pod_cidr), Options(node_name=settings.node_name)).run()


async def _wait_for_file(path: Path) -> None:
    while not path.exists():
        await asyncio.sleep(0.05)


# -- dns ----------------------------------------------------------------------------------------------------------
async def dns(*, kubeconfig: Path | None, port: int, domain: str, upstreams: tuple[str, ...],
              stub_domains: dict[str, tuple[str, ...]]) -> None:
    """Cluster DNS; in a pod without a kubeconfig."""
    from kubewheel.client.cache import Caches
    from kubewheel.client.client import Client
    from kubewheel.client.http import Http, in_cluster, load_kubeconfig
    from kubewheel.dns.server import Dns, Options

    config = load_kubeconfig(kubeconfig) if kubeconfig is not None else in_cluster()
    client = Client(Http(config, user_agent="kubewheel-dns"))
    rng = random.SystemRandom()
    caches = Caches(client, rng=rng)
    try:
        await Dns(caches, Options(port=port, domain=domain, upstreams=upstreams, stub_domains=stub_domains), rng=rng).run()
    finally:
        await caches.aclose()
        await client.aclose()
