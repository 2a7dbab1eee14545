"""/debug/pprof as far as it makes sense in Python: stacks of tasks and threads, and a sampled CPU profile.

In: a path and a query. Out: status, content type, bytes; `go tool pprof` and speedscope read the profile.
Called by: apiserver/endpoints.py, run/health_server.py. What CPython does not keep (heap, allocations, blocking,
mutexes) is refused by name.
Source of the format: profile.proto of github.com/google/pprof.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from types import CodeType, FrameType

from kubewheel.lib.wire import delimited, number_field, uvarint

Page = tuple[int, str, bytes]
Stack = tuple[tuple[CodeType, int], ...]  # leaf first
PERIOD = 0.01  # seconds of CPU time between samples
TEXT = "text/plain; charset=utf-8"
REFUSED = {
    "heap": "CPython keeps no profile of its heap", "allocs": "CPython keeps no profile of its allocations",
    "block": "waiting is not measured; see goroutine for what waits now",
    "mutex": "there is one event loop and no contended mutexes", "trace": "there is no execution tracer in CPython",
    "symbol": "profiles carry their symbols", "threadcreate": "where threads were started is not kept",
}
SERVED = {"cmdline": "The command line invocation of the current program",
          "goroutine": "Stack traces of all current tasks and threads",
          "profile": "CPU profile. You can specify the duration in the seconds GET parameter."}


class ProfileError(Exception):
    """No profile can be made now."""


async def page(path: str, query: Mapping[str, list[str]]) -> Page:
    """`path` below /debug/pprof/."""
    name = path.strip("/")
    if not name:
        return 200, TEXT, index().encode()
    if name == "cmdline":
        return 200, TEXT, "\x00".join(sys.argv).encode()
    if name == "goroutine":
        return 200, TEXT, stacks().encode()
    if name == "profile":
        text = query.get("seconds", ["30"])[0]
        seconds = float(text) if text.replace(".", "", 1).isdigit() else 30.0
        try:
            return 200, "application/octet-stream", await profile(seconds or 30.0)
        except ProfileError as e:
            return 500, TEXT, f"{e}\n".encode()
    if name in REFUSED:
        return 501, TEXT, f"the {name} profile is not in kubewheel: {REFUSED[name]}\n".encode()
    return 404, TEXT, b"Unknown profile\n"


def index() -> str:
    lines = ["/debug/pprof/", "", "Types of profiles available:"]
    lines += [f"{name}: {what}" for name, what in SERVED.items()]
    lines += ["", "Not in kubewheel:", *(f"{name}: {why}" for name, why in REFUSED.items()), ""]
    return "\n".join(lines)


def stacks() -> str:
    """Every task of this loop and every thread, with its stack."""
    out = io.StringIO()
    tasks = sorted(asyncio.all_tasks(), key=lambda t: t.get_name())
    out.write(f"goroutine profile: total {len(tasks) + threading.active_count()}\n\n")
    for task in tasks:
        out.write(f"task {task.get_name()} [{'running' if task is asyncio.current_task() else 'waiting'}]:\n")
        for frame in task.get_stack():
            out.write("".join(traceback.format_list(traceback.extract_stack(frame, limit=1))))
        out.write("\n")
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, current in sys._current_frames().items():
        out.write(f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(current))}\n")
    return out.getvalue()


async def profile(seconds: float) -> bytes:
    """Samples this thread every PERIOD of its CPU time; gzipped profile.proto. ProfileError."""
    samples: Counter[Stack] = Counter()

    def sample(number: int, frame: FrameType | None) -> None:
        samples[_stack(frame)] += 1

    if signal.getitimer(signal.ITIMER_PROF)[0]:
        raise ProfileError("Could not enable CPU profiling: cpu profiling already in use")
    try:
        before = signal.signal(signal.SIGPROF, sample)
    except ValueError as e:  # signals reach the main thread only
        raise ProfileError(f"Could not enable CPU profiling: {e}") from e
    signal.setitimer(signal.ITIMER_PROF, PERIOD, PERIOD)
    try:
        await asyncio.sleep(seconds)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN if before is None else before)
    return gzip.compress(encode(samples, seconds))


def _stack(frame: FrameType | None) -> Stack:
    out = []
    while frame is not None:
        out.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(out)


def encode(samples: Mapping[Stack, int], seconds: float) -> bytes:
    """perftools.profiles.Profile: stacks leaf first, counts and nanoseconds."""
    strings: dict[str, int] = {"": 0}
    functions: dict[CodeType, int] = {}
    locations: dict[tuple[CodeType, int], int] = {}
    out = bytearray()

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    nanos = int(PERIOD * 1e9)
    for kind, unit in (("samples", "count"), ("cpu", "nanoseconds")):
        out += delimited(1, number_field(1, text(kind)) + number_field(2, text(unit)))
    for stack, count in samples.items():
        ids = b""
        for place in stack:
            functions.setdefault(place[0], len(functions) + 1)
            ids += uvarint(locations.setdefault(place, len(locations) + 1))
        out += delimited(2, delimited(1, ids) + delimited(2, uvarint(count) + uvarint(count * nanos)))
    for (code, line), number in locations.items():
        out += delimited(4, number_field(1, number) + delimited(4, number_field(1, functions[code]) + number_field(2, line)))
    for code, number in functions.items():
        name = text(code.co_qualname)
        out += delimited(5, number_field(1, number) + number_field(2, name) + number_field(3, name)
                         + number_field(4, text(code.co_filename)) + number_field(5, code.co_firstlineno))
    period = delimited(11, number_field(1, text("cpu")) + number_field(2, text("nanoseconds")))
    for value in strings:
        out += delimited(6, value.encode())
    return bytes(out) + number_field(10, int(seconds * 1e9)) + period + number_field(12, nanos)
