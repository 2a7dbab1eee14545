"""A cluster inside a test: API server on a memory store, controllers, scheduler, simulated nodes, one loop.

In: how many nodes, a seed, virtual time or real. Out: a Cluster with clients, a URL and a kubeconfig on request.
Called by: the pytest plugin, and users' own tests.

    async with cluster(nodes=3) as c:
        await c.client.create("deployments.apps", {...}, namespace="default")
        await c.wait_for("deployments.apps", "web", lambda d: d["status"].get("readyReplicas") == 3)
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver import http
from kubewheel.apiserver.options import Options
from kubewheel.client.cache import Caches
from kubewheel.client.client import Client
from kubewheel.client.inprocess import component
from kubewheel.client.transport import Identity
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.node import simulated
from kubewheel.node.programs import Backend, Program, Run
from kubewheel.run.control_plane import ControlPlane
from kubewheel.storage.memory import MemoryStore
from kubewheel.storage.store import Store
from kubewheel.testing.doors import Doors
from kubewheel.testing.virtual_time import VirtualTimeLoop

ADMIN = Identity("kubernetes-admin", groups=("system:masters", "system:authenticated"))


class Cluster:
    """`client` is an admin's. All else hangs below it."""

    def __init__(self, control_plane: ControlPlane, *, seed: int) -> None:
        self.control_plane = control_plane
        self.server = control_plane.server
        self.clock = control_plane.clock
        self.client = self.server.client_for(ADMIN, user_agent="kubewheel-testing")
        self.caches = Caches(self.client, rng=random.Random(seed))
        self.nodes: list[simulated.SimulatedNode] = []
        self._kubelets: simulated.Kubelets | None = None
        self._front: http.Front | None = None
        self._doors = Doors(self)
        self._files = contextlib.ExitStack()
        self._seed = seed
        self._ca: tls.KeyPair | None = None
        self.url = ""

    def client_as(self, name: str, *groups: str) -> Client:
        """A client with another identity; RBAC applies to it."""
        return self.server.client_for(component(name, *groups))

    async def add_nodes(self, count: int, **options: Any) -> list[simulated.SimulatedNode]:
        """Simulated nodes, named node-0, node-1 …; options as simulated.fleet."""
        if self._kubelets is None:
            self._kubelets = simulated.Kubelets(self.caches)
        options.setdefault("prefix", "node-" if not self.nodes else f"node-{len(self.nodes)}-")
        made = await simulated.fleet(self.client, self.caches, self.clock, self.control_plane.random, count=count,
                                     kubelets=self._kubelets, **options)
        self.nodes += made
        self.server.kubelets.resolve = self._doors.resolve
        return made

    # -- what runs in the simulated pods -----------------------------------------------------------------------------
    def program(self, pod: str = "*", *, namespace: str = "*", container: str = "*", exec: Run | None = None,
                attach: Run | None = None, ports: Mapping[int, Backend] | None = None) -> None:
        """What exec, attach and connections to ports do in the pods whose names match (fnmatch patterns). `exec` and
        `attach` are `async def f(process: Process) -> exit code`; a port is `async def f(reader, writer)` or the
        (host, port) of a real server. The last one laid down wins."""
        self._doors.programs.add(Program(namespace, pod, container, exec, attach, dict(ports or {})))

    def log(self, pod: str, text: str | bytes, *, namespace: str = "default", container: str = "",
            stream: str = "stdout") -> None:
        """A container of a simulated pod (the first by default) writes to its log. KeyError where it does not run."""
        for node in self.nodes:
            if node.find_pod(namespace, pod) is not None:
                node.log(namespace, pod, text, container=container, stream=stream)
                return
        raise KeyError(f"no simulated node runs pod {namespace}/{pod}")

    async def wait_for(self, resource: str | Gvr, name: str, condition: Callable[[Object], Any] = bool, *,
                       namespace: str | None = "default", timeout: float = 30.0) -> Object:
        """The object once `condition` holds; TimeoutError tells what it last looked like."""
        last: Object | None = None
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            last = await self.client.find(resource, name, namespace=namespace)
            if last is not None and condition(last):
                return last
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{resource} {name} did not get there in {timeout:g}s; last seen: {last}")
            await asyncio.sleep(0.02)

    async def wait_gone(self, resource: str | Gvr, name: str, *, namespace: str | None = "default",
                        timeout: float = 30.0) -> None:
        deadline = asyncio.get_running_loop().time() + timeout
        while await self.client.find(resource, name, namespace=namespace) is not None:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{resource} {name} is still there after {timeout:g}s")
            await asyncio.sleep(0.02)

    async def wait_until(self, condition: Callable[[], Any], *, timeout: float = 30.0, what: str = "condition") -> Any:
        """Polls a plain or async condition."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{what} did not hold within {timeout:g}s")
            await asyncio.sleep(0.02)

    # -- for clients that come over the network --------------------------------------------------------------------
    async def serve(self) -> str:
        """Starts HTTPS on a free port of the loopback; the URL. Not in virtual time: sockets know only real time."""
        if self.url:
            return self.url
        if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            raise RuntimeError("a cluster in virtual time has no network: use client, or virtual_time=False")
        ca, now = self.authority(), clocks.RealClock().now()
        pair = tls.issue(ca, "kube-apiserver", now=now, hosts=("localhost",), ips=("127.0.0.1",), server=True)
        folder = self.folder()
        (folder / "tls.crt").write_bytes(pair.cert)
        tls.write_private(folder / "tls.key", pair.key)
        context = tls.server_context(folder / "tls.crt", folder / "tls.key", client_ca=ca.cert)
        self._front = http.Front(self.server.chain, streams=self.server.aggregator.streams)
        port = await self._front.listen("127.0.0.1", 0, context)
        self.url = f"https://127.0.0.1:{port}"
        return self.url

    def folder(self) -> Path:
        """A fresh directory, gone with the cluster."""
        return Path(self._files.enter_context(tempfile.TemporaryDirectory(prefix="kubewheel-")))

    def authority(self) -> tls.KeyPair:
        assert self._ca is not None
        return self._ca

    async def kubeconfig(self, user: str = "kubernetes-admin", *groups: str) -> Path:
        """A kubeconfig file for any client; the default user is an admin. Gone with the cluster."""
        url = await self.serve()
        ca = self.authority()
        pair = tls.issue(ca, user, organizations=groups or ("system:masters",), now=clocks.RealClock().now(),
                         client=True)

        def b64(data: bytes) -> str:
            return base64.b64encode(data).decode()

        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": b64(ca.cert)}}],
            "users": [{"name": user, "user": {"client-certificate-data": b64(pair.cert), "client-key-data": b64(pair.key)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        path = self.folder() / "kubeconfig"
        tls.write_private(path, yaml.safe_dump(config).encode())
        return path

    async def aclose(self) -> None:
        if self._front is not None:
            await self._front.aclose()
        await self._doors.aclose()
        for node in self.nodes:
            await node.aclose()
        if self._kubelets is not None:
            await self._kubelets.aclose()
        await self.caches.aclose()
        await self.control_plane.aclose()
        self._files.close()


@contextlib.asynccontextmanager
async def cluster(*, nodes: int = 1, controllers: str = "*", scheduler: bool = True, seed: int = 0,
                  store: Store | None = None, options: Options | None = None,
                  controller_options: Mapping[str, Any] | None = None,
                  scheduler_config: Any = None, node_options: Mapping[str, Any] | None = None) -> AsyncIterator[Cluster]:
    """Ready for the first call when entered. Under a virtual-time loop (testing.virtual_time) the clock follows the
    loop and equal seeds give equal histories."""
    virtual = isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    clock: clocks.Clock = clocks.LoopClock() if virtual else clocks.RealClock()
    ca = _authority()
    options = options or Options()
    options.client_ca = options.client_ca or ca.cert
    options.service_account_key = options.service_account_key or _signing_key()
    plane = ControlPlane(store or MemoryStore(), clock=clock, rng=random.Random(seed), options=options,
                         controller_flag=controllers, with_scheduler=scheduler, scheduler_config=scheduler_config,
                         controller_options={"root-ca": ca.cert, "cluster-signing-cert": ca.cert,
                                             "cluster-signing-key": ca.key,
                                             "service-account-private-key": options.service_account_key,
                                             **(controller_options or {})})
    await plane.store.start()
    made = Cluster(plane, seed=seed)
    made._ca = ca
    try:
        await plane.start()
        if nodes:
            await made.add_nodes(nodes, **dict(node_options or {}))
        yield made
    finally:
        await made.aclose()
        await plane.store.aclose()


# Keys are the slow part of a start: one authority and one signing key serve every cluster of the process.
_keys: dict[str, Any] = {}


def _authority() -> tls.KeyPair:
    if "ca" not in _keys:
        _keys["ca"] = tls.make_ca("kubewheel-testing", now=clocks.RealClock().now())
    return _keys["ca"]


def _signing_key() -> bytes:
    if "sa" not in _keys:
        _keys["sa"] = tls.new_ec_key()
    return _keys["sa"]
