"""What the kubelet's server asks of whoever runs the pods (upstream's HostInterface): the real kubelet, or a simulated
node. By structure: a simulated node fits without knowing this file.

In: a pod's namespace, name, container. Out: logs, commands, connections, stats; upgrade.Refused (status, words) where
that cannot be. Called by: server.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from kubewheel.kubelet.logs import LogOptions
from kubewheel.lib.streams.port_forward import Connect
from kubewheel.lib.streams.remote_command import Command, Wanted

Object = dict[str, Any]


class Host(Protocol):
    def healthy(self) -> str: ...  # "" or what is wrong

    def pods(self) -> list[Object]: ...  # of this node, with their status

    def running_pods(self) -> list[Object]: ...  # as the runtime has them

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions, *,
                   previous: bool) -> AsyncIterator[bytes]: ...

    async def exec(self, namespace: str, pod: str, uid: str, container: str, command: list[str],
                   wanted: Wanted) -> Command: ...

    async def attach(self, namespace: str, pod: str, uid: str, container: str, wanted: Wanted) -> Command: ...

    async def run(self, namespace: str, pod: str, uid: str, container: str, command: list[str]) -> bytes: ...

    async def port_forward(self, namespace: str, pod: str, uid: str) -> Connect: ...

    async def summary(self) -> Object: ...

    async def metrics(self, kind: str) -> str: ...  # "", cadvisor, resource, probes
