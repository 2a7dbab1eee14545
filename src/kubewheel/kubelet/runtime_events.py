"""Container exits as containerd tells them, so that they are seen at once and not at the next relist.

In: containerd's event stream on the CRI socket. Out: `on_exit(id)` for each container or sandbox whose main process
ended (not for exec'd commands). Called by: kubelet.py.
A runtime without that stream is no error: the relist finds everything, a second later at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from kubewheel.kubelet.cri import Cri, CriError
from kubewheel.lib.wire import varint

log = logging.getLogger(__name__)

SUBSCRIBE = "/containerd.services.events.v1.Events/Subscribe"
FILTER = b'topic=="/tasks/exit",namespace=="k8s.io"'
RETRY = 1.0


async def run(cri: Cri, on_exit: Callable[[str], None]) -> None:
    request = b"\x0a" + bytes([len(FILTER)]) + FILTER
    while True:
        try:
            async for envelope in cri.stream(SUBSCRIBE, request):
                if (container_id := exited(envelope)) is not None:
                    on_exit(container_id)
        except CriError as e:
            if e.code == "UNIMPLEMENTED":
                await asyncio.Event().wait()
            log.debug("the runtime's events: %s", e)
        await asyncio.sleep(RETRY)


def exited(envelope: bytes) -> str | None:
    """The id in a TaskExit's envelope, or None for an exec's end."""
    event = _field(_field(envelope, 4), 2)
    container_id, process_id = _field(event, 1), _field(event, 2)
    return container_id.decode() if container_id and container_id == process_id else None


def _field(message: bytes, wanted: int) -> bytes:
    """The last length-delimited field of that number, b"" where there is none."""
    return next((data for number, data in reversed(list(_fields(message))) if number == wanted), b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(message):
        tag, at = varint(message, at, len(message))
        kind = tag & 7
        if kind == 0:
            _, at = varint(message, at, len(message))
        elif kind == 2:
            length, at = varint(message, at, len(message))
            yield tag >> 3, message[at:at + length]
            at += length
        else:
            at += 8 if kind == 1 else 4
