"""exec and attach, the client's side: a command at a server that speaks SPDY/3.1 (a container runtime, a kubelet).

In: where to connect, which streams. Out: a remote_command.Command. Called by: kubelet/server, apiserver/streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl

from kubewheel.lib.streams import channels, spdy
from kubewheel.lib.streams.remote_command import Reader, Stdio, Wanted, Writer

log = logging.getLogger(__name__)

PROTOCOL = "v4.channel.k8s.io"


class SpdyCommand:
    def __init__(self, connection: spdy.Connection, streams: dict[str, spdy.Stream], runner: asyncio.Task[None]) -> None:
        self._connection = connection
        self._streams = streams
        self._runner = runner

    @classmethod
    async def open(cls, host: str, port: int, path: str, wanted: Wanted, *, headers: dict[str, str] | None = None,
                   context: ssl.SSLContext | None = None) -> SpdyCommand:
        """OSError or SpdyError where the other side is not there or refuses (with its words)."""
        connection = await spdy.connect(host, port, path, context=context,
                                        headers={"X-Stream-Protocol-Version": PROTOCOL, **(headers or {})})
        runner = asyncio.create_task(_reading(connection), name="command:backend")
        command = cls(connection, {}, runner)
        try:
            for name in ("error", *wanted.names()):
                command._streams[name] = await connection.open({"streamtype": name})
            await command._streams["error"].close_write()
        except BaseException:
            await command.aclose()
            raise
        return command

    async def run(self, stdio: Stdio) -> bytes:
        """The Status that the other side ends with; a failure where it breaks off."""
        pairs = (("stdin", stdio.stdin), ("resize", stdio.resize))
        inputs = [asyncio.create_task(self._send(source, self._streams[name]), name=f"command:{name}")
                  for name, source in pairs if source is not None and name in self._streams]
        outputs = [asyncio.create_task(_receive(self._streams[name], target), name=f"command:{name}")
                   for name, target in (("stdout", stdio.stdout), ("stderr", stdio.stderr))
                   if target is not None and name in self._streams]
        error = self._streams["error"]
        try:
            status = await error.read_all()
            await asyncio.gather(*outputs)
        finally:
            for task in (*inputs, *outputs):
                task.cancel()
            await asyncio.gather(*inputs, *outputs, return_exceptions=True)
        if not status and not error.is_whole:
            return channels.failure_status("error reading from error stream: unexpected EOF")
        return status or channels.success_status()

    async def _send(self, source: Reader, target: spdy.Stream) -> None:
        with contextlib.suppress(ConnectionError):  # the other side has ended: the error stream says how
            while data := await source.read():
                await target.write(data)
            await target.close_write()

    async def aclose(self) -> None:
        await self._connection.aclose()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)


async def _receive(source: spdy.Stream, target: Writer) -> None:
    while data := await source.read():
        await target.write(data)


async def _reading(connection: spdy.Connection) -> None:
    try:
        await connection.run()
    except (spdy.SpdyError, ConnectionError) as e:
        log.info("the connection of a command broke: %s", e)
