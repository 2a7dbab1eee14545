"""SPDY/3.1: framing, header compression, streams. No flow control, as the other ends (moby/spdystream) do none.

`Framer` is pure: `feed(bytes)` gives frames, `syn_stream(...)` and the like give bytes.
`Connection` runs it over an asyncio reader and writer, for either side.
Called by: remote_command.py and port_forward.py (server side), spdy_command.py (client side), tests.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from kubewheel.lib.streams.dictionary import DICTIONARY
from kubewheel.lib.streams.inbox import Inbox

log = logging.getLogger(__name__)

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
REFUSED_STREAM = 3
CHUNK = 32 * 1024
MAX_CONTROL = 256 * 1024  # bytes of a control frame; no header block of ours comes near
MAX_HEADERS = 1024 * 1024  # of a header block, once it is inflated
MAX_STREAMS = 4096  # open at once on one connection


class SpdyError(Exception):
    """The other side does not speak SPDY/3.1."""


@dataclass(slots=True)
class Frame:
    kind: int  # 0: data; else one of the constants above
    stream_id: int = 0
    flags: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""

    @property
    def is_fin(self) -> bool:
        return bool(self.flags & FIN)


class Framer:
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._deflate = zlib.compressobj(wbits=zlib.MAX_WBITS, zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    # -- reading ---------------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= 8:
            head, tail = struct.unpack_from(">II", self._buffer)
            flags, length = tail >> 24, tail & 0xFFFFFF
            if head & 0x80000000 and (length > MAX_CONTROL or (head >> 16) & 0x7FFF != VERSION):
                raise SpdyError(f"no control frame of SPDY/3.1: {head:08x}, {length} bytes")
            if len(self._buffer) < 8 + length:
                break
            body = bytes(self._buffer[8:8 + length])
            del self._buffer[:8 + length]
            if head & 0x80000000:
                try:
                    frames.append(self._control(head & 0xFFFF, flags, body))
                except struct.error as e:
                    raise SpdyError(f"a short frame of kind {head & 0xFFFF}") from e
            else:
                frames.append(Frame(0, head, flags, data=body))
        return frames

    def _control(self, kind: int, flags: int, body: bytes) -> Frame:
        if kind == SYN_STREAM:
            stream_id = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF
            return Frame(kind, stream_id, flags, self._headers(body[10:]))
        if kind in (SYN_REPLY, HEADERS):
            stream_id = struct.unpack_from(">I", body)[0] & 0x7FFFFFFF
            return Frame(kind, stream_id, flags, self._headers(body[4:]))
        if kind in (RST_STREAM, PING, GOAWAY, WINDOW_UPDATE):
            return Frame(kind, struct.unpack_from(">I", body)[0] & 0x7FFFFFFF, flags, data=body)
        return Frame(kind, 0, flags, data=body)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block, MAX_HEADERS)
        except zlib.error as e:
            raise SpdyError(f"header block: {e}") from e
        out: dict[str, str] = {}
        number, position = struct.unpack_from(">I", raw)[0], 4
        if self._inflate.unconsumed_tail or number > MAX_HEADERS // 8:
            raise SpdyError("header block: too large")
        for _ in range(number):
            texts = []
            for _ in range(2):
                length = struct.unpack_from(">I", raw, position)[0]
                texts.append(raw[position + 4:position + 4 + length].decode("latin-1"))
                position += 4 + length
            out[texts[0].lower()] = texts[1].split("\0")[0]
        return out

    # -- writing ---------------------------------------------------------------------------------------------
    def _block(self, headers: dict[str, str]) -> bytes:
        raw = bytearray(struct.pack(">I", len(headers)))
        for name, value in headers.items():
            for text in (name.lower().encode("latin-1"), value.encode("latin-1")):
                raw += struct.pack(">I", len(text)) + text
        return self._deflate.compress(bytes(raw)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    @staticmethod
    def _frame(kind: int, flags: int, body: bytes) -> bytes:
        return struct.pack(">II", 0x80000000 | VERSION << 16 | kind, flags << 24 | len(body)) + body

    def syn_stream(self, stream_id: int, headers: dict[str, str], *, fin: bool = False) -> bytes:
        return self._frame(SYN_STREAM, FIN if fin else 0,
                           struct.pack(">IIBB", stream_id, 0, 0, 0) + self._block(headers))

    def syn_reply(self, stream_id: int, headers: dict[str, str]) -> bytes:
        return self._frame(SYN_REPLY, 0, struct.pack(">I", stream_id) + self._block(headers))

    def rst_stream(self, stream_id: int, status: int) -> bytes:
        return self._frame(RST_STREAM, 0, struct.pack(">II", stream_id, status))

    def ping(self, number: int) -> bytes:
        return self._frame(PING, 0, struct.pack(">I", number))

    def goaway(self, last_good: int) -> bytes:
        return self._frame(GOAWAY, 0, struct.pack(">II", last_good, 0))

    @staticmethod
    def data(stream_id: int, data: bytes, *, fin: bool = False) -> bytes:
        return struct.pack(">II", stream_id, (FIN if fin else 0) << 24 | len(data)) + data


class Pipe(Protocol):
    """Where a Connection's bytes come from and go to."""

    async def read(self) -> bytes: ...  # b"" at the end

    async def write(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


class StreamPipe:
    """An asyncio reader and writer as a Pipe."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionError:
            return b""  # a reset is an end

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.close()


class Stream:
    """One stream: `read` gives b"" at its end; `write` and `close_write` send."""

    def __init__(self, connection: Connection, stream_id: int, headers: dict[str, str]) -> None:
        self.id = stream_id
        self.headers = headers
        self.inbox = Inbox()
        self.is_whole = False  # the other side has ended it (rather than the connection having broken)
        self.replied = asyncio.Event()
        self.is_refused = False
        self._connection = connection
        self._finished = False

    async def read(self) -> bytes:
        return await self.inbox.read()

    async def read_all(self) -> bytes:
        return await self.inbox.read_all()

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            await self._connection.send(self._connection.framer.data(self.id, data[start:start + CHUNK]))

    async def close_write(self) -> None:
        if not self._finished:
            self._finished = True
            await self._connection.send(self._connection.framer.data(self.id, b"", fin=True))
            self._connection.forget_if_over(self)

    async def reset(self, status: int = 5) -> None:
        self._finished = True
        await self._connection.send(self._connection.framer.rst_stream(self.id, status))
        self.inbox.end()
        self._connection.forget(self.id)

    @property
    def is_over(self) -> bool:
        return self._finished and self.is_whole


class Connection:
    """`on_stream` is called (and not awaited) for each stream the other side opens; it has been accepted already."""

    def __init__(self, pipe: Pipe, *, is_server: bool,
                 on_stream: Callable[[Stream], Awaitable[None] | None] | None = None) -> None:
        self.framer = Framer()
        self._pipe = pipe
        self._next_id = 2 if is_server else 1
        self._last_accepted = 0
        self._on_stream = on_stream
        self._streams: dict[int, Stream] = {}
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_ended = False

    async def run(self) -> None:
        """Reads until the connection ends; then every stream ends. SpdyError for what is not SPDY."""
        try:
            while data := await self._pipe.read():
                for frame in self.framer.feed(data):
                    await self._handle(frame)
        finally:
            self.is_ended = True
            for stream in list(self._streams.values()):
                stream.inbox.end()
                stream.replied.set()
            for task in self._tasks:
                task.cancel()
            await self._pipe.aclose()

    async def open(self, headers: dict[str, str], *, fin: bool = False) -> Stream:
        """A new stream; waits until the other side has accepted it. SpdyError where it does not."""
        if self.is_ended:
            raise SpdyError("the connection has ended")
        async with self._sending:
            stream = Stream(self, self._next_id, headers)
            self._next_id += 2
            self._streams[stream.id] = stream
            await self._pipe.write(self.framer.syn_stream(stream.id, headers, fin=fin))
        await stream.replied.wait()
        if stream.is_refused or self.is_ended:
            raise SpdyError(f"the stream {headers} was not accepted")
        return stream

    async def send(self, data: bytes) -> None:
        async with self._sending:
            await self._pipe.write(data)

    def forget(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)

    def forget_if_over(self, stream: Stream) -> None:
        if stream.is_over:
            self.forget(stream.id)

    async def aclose(self) -> None:
        await self._pipe.aclose()

    async def _handle(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream_id)
        if frame.kind == SYN_STREAM:
            await self._accept(frame)
        elif frame.kind == 0 and stream is not None:
            await stream.inbox.put(frame.data)
            if frame.is_fin:
                self._end(stream)
        elif frame.kind == SYN_REPLY and stream is not None:
            stream.replied.set()
            if frame.is_fin:
                self._end(stream)
        elif frame.kind == RST_STREAM and stream is not None:
            stream.is_refused = not stream.replied.is_set()
            stream.inbox.end()
            stream.replied.set()
            self.forget(frame.stream_id)
        elif frame.kind == GOAWAY:
            log.debug("the other side opens no more streams")
        elif frame.kind == PING and frame.stream_id % 2 != self._next_id % 2:
            await self.send(self.framer.ping(frame.stream_id))

    def _end(self, stream: Stream) -> None:
        stream.is_whole = True
        stream.inbox.end()
        self.forget_if_over(stream)

    async def _accept(self, frame: Frame) -> None:
        """A new stream of the other side's; its numbers are odd where the other side is the client, and grow."""
        if frame.stream_id % 2 == self._next_id % 2 or frame.stream_id <= self._last_accepted:
            raise SpdyError(f"a stream cannot be {frame.stream_id}")
        self._last_accepted = frame.stream_id
        if len(self._streams) >= MAX_STREAMS or self._on_stream is None:
            await self.send(self.framer.rst_stream(frame.stream_id, REFUSED_STREAM))
            return
        stream = self._streams[frame.stream_id] = Stream(self, frame.stream_id, frame.headers)
        stream.replied.set()
        await self.send(self.framer.syn_reply(frame.stream_id, {}))
        if frame.is_fin:
            self._end(stream)
        work = self._on_stream(stream)
        if work is not None:
            task = asyncio.ensure_future(_finish(work))
            task.set_name(f"spdy:stream-{frame.stream_id}")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a stream of %s failed", self._pipe, exc_info=error)


async def _finish(work: Awaitable[None]) -> None:
    await work


async def connect(host: str, port: int, path: str, *, headers: dict[str, str], context: ssl.SSLContext | None = None,
                  timeout: float = 30.0) -> Connection:
    """A client connection upgraded to SPDY/3.1. SpdyError with the answer's text when the server refuses, OSError where
    it cannot be reached. The caller runs `run()`."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            lines = [f"POST {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: Upgrade", "Upgrade: SPDY/3.1",
                     "Content-Length: 0", *(f"{k}: {v}" for k, v in headers.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as e:
                raise SpdyError(f"the server did not answer in HTTP: {e}") from e
            if status != 101:
                raise SpdyError((await _refusal(head, reader)) or f"the server answered {status}")
        except BaseException:
            writer.close()
            raise
    return Connection(StreamPipe(reader, writer), is_server=False)


async def _refusal(head: bytes, reader: asyncio.StreamReader) -> str:
    """The text of an answer that is no 101."""
    length = next((int(v) for n, _, v in (line.partition(b":") for line in head.split(b"\r\n"))
                   if n.lower() == b"content-length" and v.strip().isdigit()), -1)
    body = await (reader.read(65536) if length < 0 else reader.read(min(length, 65536)) if length else _nothing())
    return body.decode(errors="replace").strip()


async def _nothing() -> bytes:
    return b""
