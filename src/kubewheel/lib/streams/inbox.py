"""Bytes on their way from a reader of the network to whoever consumes them, with a limit on what may wait.

In: `put` by the one who reads a connection (it waits where the consumer is slow). Out: `read`, b"" at the end.
Called by: spdy.Stream, remote_command, port_forward.
"""

from __future__ import annotations

import asyncio
from collections import deque

HIGH_WATER = 1024 * 1024


class Inbox:
    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._discarding = False
        self._changed = asyncio.Event()  # something to read, or the end
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, data: bytes) -> None:
        """Waits until there is room. What comes after the end or after `discard` is dropped."""
        if not data or self._ended or self._discarding:
            return
        self._parts.append(data)
        self._size += len(data)
        self._changed.set()
        if self._size > HIGH_WATER:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        self._ended = True
        self._changed.set()
        self._room.set()

    def discard(self) -> None:
        """Nobody reads any more: what waits is dropped, and so is all that comes."""
        self._discarding = True
        self._parts.clear()
        self._size = 0
        self._room.set()

    async def read(self) -> bytes:
        while not self._parts:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = self._parts.popleft()
        self._size -= len(data)
        if self._size <= HIGH_WATER // 2:
            self._room.set()
        return data

    async def read_all(self) -> bytes:
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)
