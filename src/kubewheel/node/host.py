"""A simulated node as the kubelet server's Host (kubelet/server/host.py, by structure): its pods' logs, commands, ports.

In: a SimulatedNode and its programs. Out: what the server sends to clients; upgrade.Refused in a kubelet's words.
Called by: testing.cluster, which puts the kubelet's own server in front of it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from kubewheel.api.resource import Object
from kubewheel.lib.clock import rfc3339
from kubewheel.lib.streams import channels
from kubewheel.lib.streams.port_forward import Connect
from kubewheel.lib.streams.remote_command import Stdio, Wanted
from kubewheel.lib.streams.upgrade import Refused
from kubewheel.node.output import Output
from kubewheel.node.programs import COMMANDS, Process, Programs, Run

if TYPE_CHECKING:
    from kubewheel.node.simulated import SimulatedNode


log = logging.getLogger(__name__)


class RunningProcess:
    """A remote_command.Command that is a Python function."""

    def __init__(self, run: Run, pod: Object, container: str, command: list[str], wanted: Wanted) -> None:
        self._run, self._pod, self._container = run, pod, container
        self._command, self._wanted = command, wanted

    async def run(self, stdio: Stdio) -> bytes:
        try:
            code = await self._run(Process(self._pod, self._container, self._command, stdio, tty=self._wanted.tty))
        except (Refused, OSError):
            raise
        except Exception as e:  # noqa: BLE001 - a test's function: its fault is told to the client, and logged
            log.exception("the program of %s failed", self._pod["metadata"]["name"])
            return channels.failure_status(f"the program failed: {e!r}")
        return channels.exit_status(code) if code else channels.success_status()

    async def aclose(self) -> None:
        """The function has been cancelled or has returned."""


class _Collected:
    def __init__(self) -> None:
        self.data = b""

    async def write(self, data: bytes) -> None:
        self.data += data


class SimulatedHost:
    def __init__(self, node: SimulatedNode, programs: Programs) -> None:
        self._node = node
        self._programs = programs
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- about the node --------------------------------------------------------------------------------------
    def healthy(self) -> str:
        return "" if self._node.is_alive else "syncloop failed"

    def pods(self) -> list[Object]:
        return self._node.pods()

    def running_pods(self) -> list[Object]:
        return [{"metadata": {k: p["metadata"][k] for k in ("name", "namespace", "uid")}, "status": {},
                 "spec": {"containers": [{"name": c["name"], "image": c.get("image", ""), "resources": {}}
                                         for c in p["spec"]["containers"]]}}
                for p in self._node.pods() if (p.get("status") or {}).get("phase") == "Running"]

    async def summary(self) -> Object:
        """Nothing runs, so nothing is used."""
        stamp = rfc3339(self._node.clock.now())
        cpu = {"time": stamp, "usageNanoCores": 0, "usageCoreNanoSeconds": 0}
        memory = {"time": stamp, "usageBytes": 0, "workingSetBytes": 0, "rssBytes": 0}
        return {"node": {"nodeName": self._node.name, "startTime": stamp, "cpu": cpu, "memory": memory},
                "pods": [{"podRef": p["metadata"], "startTime": stamp, "cpu": cpu, "memory": memory,
                          "containers": [{"name": c["name"], "startTime": stamp, "cpu": cpu, "memory": memory}
                                         for c in p["spec"]["containers"]]} for p in self.running_pods()]}

    async def metrics(self, kind: str) -> str:
        if kind:
            return ""
        return (f"# TYPE kubelet_running_pods gauge\nkubelet_running_pods {len(self.running_pods())}\n"
                f'# TYPE kubelet_node_name gauge\nkubelet_node_name{{node="{self._node.name}"}} 1\n')

    # -- about a pod -----------------------------------------------------------------------------------------
    async def logs(self, namespace: str, pod: str, container: str, options: Any, *,
                   previous: bool) -> AsyncIterator[bytes]:
        found = self._node.find_pod(namespace, pod)
        if found is None:
            raise Refused(404, f'pod "{pod}" does not exist')
        if container not in _containers(found):
            raise Refused(404, f'container "{container}" not found in pod "{pod}"')
        status = _status_of(found, container)
        generation = self._node.generation(namespace, pod, container)
        if previous:
            if generation < 2:
                raise Refused(400, f'previous terminated container "{container}" in pod "{pod}" not found')
            return self._node.output(found, container, generation - 1).read(options, is_running=lambda: False)
        waiting = ((status or {}).get("state") or {}).get("waiting")
        if generation == 0 or (status or {}).get("state", {"waiting": {}}) == {"waiting": {}}:
            reason = (waiting or {}).get("reason", "ContainerCreating")
            raise Refused(400, f'container "{container}" in pod "{pod}" is waiting to start: {reason}')
        output: Output = self._node.output(found, container, generation)
        return output.read(options, is_running=lambda: self._node.is_running(namespace, pod, container, generation))

    async def exec(self, namespace: str, pod: str, uid: str, container: str, command: list[str],
                   wanted: Wanted) -> RunningProcess:
        found = self._running(namespace, pod, uid, container)
        run = self._programs.exec(found, container)
        if run is None:
            if not command:
                raise Refused(500, "failed to exec in container: process args cannot be empty")
            run = COMMANDS.get(command[0].rpartition("/")[2]) or _not_found
        return RunningProcess(run, found, container, command, wanted)

    async def attach(self, namespace: str, pod: str, uid: str, container: str, wanted: Wanted) -> RunningProcess:
        found = self._running(namespace, pod, uid, container)
        generation = self._node.generation(namespace, pod, container)
        run = self._programs.attach(found, container)

        async def watch(process: Process) -> int:
            """Without a program the container says what its log says, until it ends."""
            output: Output = self._node.output(found, container, generation)
            async for text in output.read(_FOLLOW, is_running=lambda: self._node.is_running(
                    namespace, pod, container, generation)):
                await process.out(text)
            return 0

        return RunningProcess(run or watch, found, container, [], wanted)

    async def run(self, namespace: str, pod: str, uid: str, container: str, command: list[str]) -> bytes:
        wanted = Wanted(False, True, True, False)
        process = await self.exec(namespace, pod, uid, container, command, wanted)
        collected = _Collected()
        code = channels.exit_code(await process.run(Stdio(stdout=collected, stderr=collected)))
        if code != 0:
            raise Refused(500, collected.data.decode(errors="replace") or f"command terminated with exit code {code}")
        return collected.data

    async def port_forward(self, namespace: str, pod: str, uid: str) -> Connect:
        found = self._pod(namespace, pod, uid)

        async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            backend = self._programs.port(found, port)
            if backend is None:
                raise ConnectionRefusedError(111, "Connection refused")
            if isinstance(backend, tuple):
                return await asyncio.open_connection(*backend)
            ours, theirs = socket.socketpair()
            task: asyncio.Task[None] = asyncio.create_task(_served(backend, theirs), name=f"simulated:port-{port}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return await asyncio.open_connection(sock=ours)

        return connect

    def _pod(self, namespace: str, name: str, uid: str) -> Object:
        pod = self._node.find_pod(namespace, name)
        if pod is None:
            raise Refused(404, "pod does not exist")
        if uid and pod["metadata"]["uid"] != uid:
            raise Refused(404, "pod not found")
        return pod

    def _running(self, namespace: str, name: str, uid: str, container: str) -> Object:
        pod = self._pod(namespace, name, uid)
        generation = self._node.generation(namespace, name, container)
        if container not in _containers(pod) or generation == 0:
            raise Refused(404, f'container not found ("{container}")')
        if not self._node.is_running(namespace, name, container, generation):
            raise Refused(500, f"container {container} is not running")
        return pod


class _Follow:
    follow, tail, since, timestamps, limit_bytes, stream = True, 0, None, False, None, ""


_FOLLOW = _Follow()


async def _served(backend: Any, sock: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        await backend(reader, writer)
    except ConnectionError:
        return  # the client may go at any time
    finally:
        writer.close()


async def _not_found(process: Process) -> int:
    name = process.command[0]
    raise Refused(500, f'error executing command in container: failed to exec in container: failed to start exec: OCI runtime '
                       f'exec failed: exec failed: unable to start container process: exec: "{name}": executable file not '
                       f"found in $PATH: unknown")


def _containers(pod: Object) -> set[str]:
    return {c["name"] for key in ("initContainers", "containers", "ephemeralContainers") for c in pod["spec"].get(key) or ()}


def _status_of(pod: Object, container: str) -> Object | None:
    status = pod.get("status") or {}
    return next((s for key in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
                 for s in status.get(key) or () if s["name"] == container), None)
