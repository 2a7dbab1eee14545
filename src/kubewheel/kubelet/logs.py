"""Container log files in the CRI format: `<RFC3339Nano> <stdout|stderr> <P|F> <text>`.

In: files written by the runtime. Out: their text, followed if asked. Called by: server (containerLogs), pleg.py
(termination messages), kubelet.py (rotation).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from kubewheel.lib.clock import parse_time

CHUNK = 64 * 1024


@dataclass(slots=True)
class LogOptions:
    follow: bool = False
    tail: int | None = None
    since: float | None = None  # epoch seconds
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: str = ""  # "", "stdout", "stderr"


def tail_start(path: str, lines: int) -> int:
    """The offset of the last `lines` lines."""
    size = os.path.getsize(path)
    if lines <= 0:
        return size
    with open(path, "rb") as file:
        position, found = size, 0
        while position > 0:
            step = min(CHUNK, position)
            position -= step
            file.seek(position)
            block = file.read(step)
            end = len(block)
            if position + step == size and block.endswith(b"\n"):
                end -= 1
            while (end := block.rfind(b"\n", 0, end)) >= 0:
                found += 1
                if found == lines:
                    return position + end + 1
    return 0


def render(line: bytes, options: LogOptions) -> bytes:
    """One raw line as the reader gets it; b"" where it is left out. A partial line gets no newline."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return b""
    stamp, stream, tag, text = parts
    if options.stream and stream.decode() != options.stream:
        return b""
    if options.since is not None:
        try:
            if parse_time(stamp.decode()) < options.since:
                return b""
        except ValueError:
            return b""
    if tag.split(b":")[0] == b"P":
        text = text[:-1] if text.endswith(b"\n") else text
    return stamp + b" " + text if options.timestamps else text


def tail_of_log(path: str, *, lines: int, limit: int) -> str:
    """The end of a log as text, at most `lines` lines and `limit` bytes; "" where there is none."""
    try:
        start = tail_start(path, lines)
        with open(path, "rb") as file:
            file.seek(start)
            text = b"".join(render(line, LogOptions()) for line in file)
    except OSError:
        return ""
    return text[-limit:].decode(errors="replace")


async def read(path: str, options: LogOptions, *, is_running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log's text in chunks. With follow it goes on, over rotations, until `is_running` says no."""
    left = options.limit_bytes
    while options.follow and not os.path.exists(path) and is_running():  # noqa: ASYNC110 - nobody tells of files
        await asyncio.sleep(0.2)  # the runtime makes the file when the first line comes
    file = await asyncio.to_thread(open, path, "rb")
    try:
        if options.tail is not None:
            file.seek(await asyncio.to_thread(tail_start, path, options.tail))
        rest = b""
        while True:
            alive = is_running()
            block = await asyncio.to_thread(file.read, CHUNK)
            if block:
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                text = b"".join(render(line + b"\n", options) for line in lines)
                if left is not None:
                    text, left = text[:left], left - len(text[:left])
                if text:
                    yield text
                if left == 0:
                    return
                continue
            if not options.follow or not alive:
                break
            if _is_rotated(path, file):
                await asyncio.to_thread(file.close)
                file = await asyncio.to_thread(open, path, "rb")
                continue
            await asyncio.sleep(0.1)
        if rest and (text := render(rest, options)):
            yield text[:left] if left is not None else text
    finally:
        file.close()


def _is_rotated(path: str, file: object) -> bool:
    try:
        here = os.stat(path)
    except FileNotFoundError:
        return False  # between rename and reopen
    there = os.fstat(file.fileno())  # type: ignore[attr-defined]
    return here.st_ino != there.st_ino
