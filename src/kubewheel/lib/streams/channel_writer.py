"""One outgoing channel of a WebSocket that carries several (channels.py has the framing).

In: bytes of one stream. Out: messages on the socket. Called by: remote_command.py, port_forward.py.
"""

from __future__ import annotations

from aiohttp import web

from kubewheel.lib.streams import channels, upgrade


class ChannelWriter:
    def __init__(self, socket: web.WebSocketResponse, number: int, protocol: str, idle: upgrade.Idle) -> None:
        self._socket, self._number, self._protocol, self._idle = socket, number, protocol, idle

    async def write(self, data: bytes) -> None:
        self._idle.touch()
        message = channels.encode(self._number, data, self._protocol)
        await (self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message))
