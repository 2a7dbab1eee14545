"""The ways into simulated nodes and pods: where the API server ends up when it connects to their addresses.

In: addresses that only exist in objects (a Node's, a pod's). Out: ports of the loopback behind which the kubelet's own
server, or what a test laid down as the pod's program, answers; made at the first connection. Called by: cluster.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from typing import TYPE_CHECKING

from kubewheel.api.resource import Object
from kubewheel.client.inprocess import component
from kubewheel.lib import clock as clocks
from kubewheel.lib import tls
from kubewheel.node.host import SimulatedHost
from kubewheel.node.programs import Programs
from kubewheel.node.simulated import SimulatedNode
from kubewheel.testing.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from kubewheel.kubelet.server.server import Server
    from kubewheel.testing.cluster import Cluster

KUBELET_PORT = 10250
SIMULATED = (ipaddress.ip_network("172.24.0.0/14"), ipaddress.ip_network("10.128.0.0/9"))  # nodes, pods


class Doors:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.programs = Programs()
        self._servers: dict[str, asyncio.Task[Server]] = {}  # by the node's name
        self._hosts: list[SimulatedHost] = []

    async def resolve(self, host: str, port: int) -> tuple[str, int]:
        """Where to connect in place of (host, port). OSError where nobody listens; nothing simulated leaves the machine."""
        for node in self._cluster.nodes:
            if node.ip == host and port == KUBELET_PORT:
                if not node.is_alive:
                    raise TimeoutError("i/o timeout")
                return "127.0.0.1", (await self.kubelet(node)).port
        pod = self._pod_at(host)
        if pod is not None:
            return await self.programs.address(pod, port)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host, port
        if any(address in network for network in SIMULATED):
            raise ConnectionRefusedError(111, "connection refused")
        return host, port

    def _pod_at(self, host: str) -> Object | None:
        for node in self._cluster.nodes:
            for pod in node.pods() if node.is_alive else ():
                if (pod.get("status") or {}).get("podIP") == host and pod["status"].get("phase") == "Running":
                    return pod
        return None

    async def kubelet(self, node: SimulatedNode) -> Server:
        """The kubelet's server in front of a simulated node, on a free port of the loopback."""
        if isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            raise ConnectionRefusedError(111, "a cluster in virtual time has no network")
        if node.name not in self._servers:
            self._servers[node.name] = asyncio.create_task(self._open(node), name=f"doors:{node.name}")
        return await asyncio.shield(self._servers[node.name])  # who asked first may go; the server stays

    async def _open(self, node: SimulatedNode) -> Server:
        from kubewheel.kubelet.options import Options  # late: most clusters of tests need no kubelet's server
        from kubewheel.kubelet.server.server import Server

        cluster, now = self._cluster, clocks.RealClock().now()
        folder, ca = cluster.folder(), cluster.authority()
        server_options = cluster.server.options
        if not server_options.kubelet_client_certificate:
            pair = tls.issue(ca, "kube-apiserver-kubelet-client", organizations=("system:masters",), now=now, client=True)
            (folder / "client.crt").write_bytes(pair.cert)
            tls.write_private(folder / "client.key", pair.key)
            server_options.kubelet_client_certificate = str(folder / "client.crt")
            server_options.kubelet_client_key = str(folder / "client.key")
        pair = tls.issue(ca, f"system:node:{node.name}", organizations=("system:nodes",), now=now, hosts=(node.name,),
                         ips=("127.0.0.1", node.ip), server=True)
        (folder / "kubelet.crt").write_bytes(pair.cert)
        tls.write_private(folder / "kubelet.key", pair.key)

        def context() -> ssl.SSLContext:
            return tls.server_context(folder / "kubelet.crt", folder / "kubelet.key", client_ca=ca.cert)

        host = SimulatedHost(node, self.programs)
        self._hosts.append(host)
        client = cluster.server.client_for(component(f"system:node:{node.name}", "system:nodes"))
        server = Server(host, client, Options(node_name=node.name, address="127.0.0.1", port=0, healthz_port=-1),
                        clock=cluster.clock, context=context)
        await server.start()
        return server

    async def aclose(self) -> None:
        for opening in self._servers.values():
            await (await opening).aclose()
        for host in self._hosts:
            await host.aclose()
        await self.programs.aclose()
