"""The container runtime, spoken to over CRI v1 on a unix socket.

In: dicts with the proto's field names. Out: dicts; CriError when the runtime refuses or is away.
Called by: pod_worker.py, pleg.py, images.py, server/, node_status.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from kubewheel.kubelet import cri_proto

SANDBOX_READY, SANDBOX_NOTREADY = 0, 1
CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED, CONTAINER_UNKNOWN = range(4)
NAMESPACE_POD, NAMESPACE_CONTAINER, NAMESPACE_NODE, NAMESPACE_TARGET = range(4)
PROFILE_RUNTIME_DEFAULT, PROFILE_UNCONFINED, PROFILE_LOCALHOST = range(3)
PROPAGATION = {"None": 0, "": 0, "HostToContainer": 1, "Bidirectional": 2}
PROTOCOL = {"TCP": 0, "": 0, "UDP": 1, "SCTP": 2}

DEFAULT_TIMEOUT = 120.0  # --runtime-request-timeout
MAX_MESSAGE = 16 * 1024 * 1024


class CriError(Exception):
    """The runtime's refusal. `code` is the gRPC code's name (NOT_FOUND, UNKNOWN, …), `message` its words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """As upstream prints a gRPC error: `rpc error: code = NotFound desc = …`."""
        name = "".join(part.capitalize() for part in self.code.split("_"))
        return f"rpc error: code = {name} desc = {self.message}"

    @property
    def is_not_found(self) -> bool:
        return self.code == "NOT_FOUND" or "not found" in self.message


class Cri:
    """One connection per endpoint; safe for any number of calls at once."""

    def __init__(self, endpoint: str, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        target = endpoint if "://" in endpoint else f"unix://{endpoint}"
        self._timeout = timeout
        self._channel = grpc.aio.insecure_channel(target, options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 3000),
            ("grpc.default_authority", "localhost")])
        self._calls: dict[str, Any] = {}

    async def call(self, method: str, request: dict[str, Any] | None = None, *,
                   timeout: float | None = None) -> dict[str, Any]:
        """Any CRI method by name; `timeout` 0 waits for ever."""
        service, request_name, response_name = cri_proto.METHODS[method]
        stub = self._calls.get(method)
        if stub is None:
            stub = self._calls[method] = self._channel.unary_unary(
                f"/runtime.v1.{service}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=cri_proto.message_class(response_name).FromString)
        limit = self._timeout if timeout is None else timeout
        try:
            answer = await stub(cri_proto.to_message(request_name, request or {}), timeout=limit or None)
        except grpc.aio.AioRpcError as e:
            raise CriError(e.code().name, e.details() or "") from e
        return cri_proto.to_dict(answer)

    async def call_through(self, method: str, request: dict[str, Any], *, timeout: float | None = None) -> dict[str, Any]:
        """As `call`, but a caller that is cancelled waits for the answer first.

        containerd gives up a StartContainer whose caller left after the task began, and then holds a container that
        it says is not running and refuses to delete because it is ("cannot delete running task").
        """
        work = asyncio.ensure_future(self.call(method, request, timeout=timeout))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            try:
                await asyncio.wait([work])
            finally:
                work.cancel()  # cancelled again, or done
            with contextlib.suppress(CriError):
                work.result()  # what it made is seen by the next look at the pod
            raise

    async def stream(self, path: str, request: bytes) -> AsyncIterator[bytes]:
        """A server stream that is not CRI's, messages as bytes."""
        call = self._channel.unary_stream(path)(request)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as e:
            raise CriError(e.code().name, e.details() or "") from e
        finally:
            call.cancel()

    async def version(self) -> dict[str, Any]:
        return await self.call("Version", {"version": "v1"})

    async def status(self, *, verbose: bool = False) -> dict[str, Any]:
        return await self.call("Status", {"verbose": verbose})

    # -- sandboxes -------------------------------------------------------------------------------------------
    async def run_sandbox(self, config: dict[str, Any], *, handler: str = "") -> str:
        answer = await self.call_through("RunPodSandbox", {"config": config, "runtime_handler": handler},
                                         timeout=self._timeout * 2)
        return answer["pod_sandbox_id"]

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self.call("StopPodSandbox", {"pod_sandbox_id": sandbox_id})

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.call("RemovePodSandbox", {"pod_sandbox_id": sandbox_id})

    async def sandbox_status(self, sandbox_id: str, *, verbose: bool = False) -> dict[str, Any]:
        """The whole response: {"status", "info"}."""
        return await self.call("PodSandboxStatus", {"pod_sandbox_id": sandbox_id, "verbose": verbose})

    async def list_sandboxes(self, *, labels: dict[str, str] | None = None) -> list[dict[str, Any]]:
        return (await self.call("ListPodSandbox", {"filter": {"label_selector": labels or {}}}))["items"]

    # -- containers ------------------------------------------------------------------------------------------
    async def create_container(self, sandbox_id: str, config: dict[str, Any], sandbox: dict[str, Any]) -> str:
        answer = await self.call_through("CreateContainer", {
            "pod_sandbox_id": sandbox_id, "config": config, "sandbox_config": sandbox})
        return answer["container_id"]

    async def start_container(self, container_id: str) -> None:
        await self.call_through("StartContainer", {"container_id": container_id})

    async def stop_container(self, container_id: str, timeout: int) -> None:
        await self.call("StopContainer", {"container_id": container_id, "timeout": timeout},
                        timeout=self._timeout + timeout)

    async def remove_container(self, container_id: str) -> None:
        await self.call("RemoveContainer", {"container_id": container_id})

    async def list_containers(self, *, labels: dict[str, str] | None = None) -> list[dict[str, Any]]:
        return (await self.call("ListContainers", {"filter": {"label_selector": labels or {}}}))["containers"]

    async def container_status(self, container_id: str, *, verbose: bool = False) -> dict[str, Any]:
        """The whole response: {"status", "info"}."""
        return await self.call("ContainerStatus", {"container_id": container_id, "verbose": verbose})

    async def update_resources(self, container_id: str, linux: dict[str, Any]) -> None:
        await self.call("UpdateContainerResources", {"container_id": container_id, "linux": linux})

    async def reopen_log(self, container_id: str) -> None:
        await self.call("ReopenContainerLog", {"container_id": container_id})

    async def exec_sync(self, container_id: str, command: list[str], *,
                        timeout: float = 0) -> tuple[int, bytes, bytes]:
        """(exit code, stdout, stderr). CriError DEADLINE_EXCEEDED when `timeout` (whole seconds) has passed."""
        answer = await self.call("ExecSync", {
            "container_id": container_id, "cmd": command, "timeout": int(timeout)},
            timeout=timeout + 10 if timeout else 0)
        return answer["exit_code"], answer["stdout"], answer["stderr"]

    async def exec_url(self, container_id: str, command: list[str], *, stdin: bool, stdout: bool, stderr: bool,
                       tty: bool) -> str:
        return (await self.call("Exec", {
            "container_id": container_id, "cmd": command, "stdin": stdin, "stdout": stdout, "stderr": stderr,
            "tty": tty}))["url"]

    async def attach_url(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> str:
        return (await self.call("Attach", {
            "container_id": container_id, "stdin": stdin, "stdout": stdout, "stderr": stderr, "tty": tty}))["url"]

    async def container_stats(self, *, labels: dict[str, str] | None = None) -> list[dict[str, Any]]:
        return (await self.call("ListContainerStats", {"filter": {"label_selector": labels or {}}}))["stats"]

    # -- images ----------------------------------------------------------------------------------------------
    async def list_images(self) -> list[dict[str, Any]]:
        return (await self.call("ListImages"))["images"]

    async def image_status(self, image: str) -> dict[str, Any] | None:
        return (await self.call("ImageStatus", {"image": {"image": image}})).get("image")

    async def pull_image(self, image: str, *, auth: dict[str, Any] | None = None,
                         sandbox: dict[str, Any] | None = None) -> str:
        answer = await self.call("PullImage", {
            "image": {"image": image}, "auth": auth, "sandbox_config": sandbox}, timeout=0)
        return answer["image_ref"]

    async def remove_image(self, image: str) -> None:
        await self.call("RemoveImage", {"image": {"image": image}})

    async def image_fs_info(self) -> list[dict[str, Any]]:
        return (await self.call("ImageFsInfo"))["image_filesystems"]

    async def aclose(self) -> None:
        await self._channel.close()
