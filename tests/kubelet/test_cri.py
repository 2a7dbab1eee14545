"""The CRI client against a runtime of a few lines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from kubewheel.kubelet import cri_proto
from kubewheel.kubelet.cri import Cri, CriError


class Runtime:
    def __init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended: list[str] = []

    async def answer(self, request: Any, context: Any) -> Any:
        self.asked.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.ended.append("left alone")
            raise
        self.ended.append("answered")
        if request.container_id == "bad":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such container")
        return cri_proto.message_class("StartContainerResponse")()


@pytest.mark.parametrize("container", ["good", "bad"])
async def test_a_start_is_not_left_half_done(tmp_path: Path, container: str) -> None:
    runtime = Runtime()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", {
        "StartContainer": grpc.unary_unary_rpc_method_handler(
            runtime.answer, request_deserializer=cri_proto.message_class("StartContainerRequest").FromString,
            response_serializer=lambda message: message.SerializeToString())}),))
    server.add_insecure_port(f"unix://{tmp_path}/sock")
    await server.start()
    try:
        cri = Cri(f"{tmp_path}/sock")
        caller = asyncio.create_task(cri.start_container(container))
        await runtime.asked.wait()
        caller.cancel()
        done, _ = await asyncio.wait([caller], timeout=0.1)
        assert not done and runtime.ended == []
        runtime.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert runtime.ended == ["answered"]
        if container == "bad":
            with pytest.raises(CriError, match="no such container"):
                await cri.start_container("bad")
        else:
            await cri.start_container("good")
        await cri.aclose()
    finally:
        await server.stop(0)
