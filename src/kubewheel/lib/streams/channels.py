"""The channel protocols of remote commands over WebSocket: one byte names the channel, the rest is data.

v5.channel.k8s.io adds 255 (close of a channel: stdin's half close); base64.* sends text, the channel as a digit.
In: messages. Out: (channel, data). Pure. Called by: remote_command.py, port_forward.py,
node/, tests.
"""

from __future__ import annotations

import base64
import json
from typing import Any

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

# The server's order of choice.
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", "v4.base64.channel.k8s.io",
             "base64.channel.k8s.io")
PORT_FORWARD = "SPDY/3.1+portforward.k8s.io"


def choose(offered: list[str], *, known: tuple[str, ...] = PROTOCOLS) -> str | None:
    """The first of the client's that is known; "" where it offered none (the old binary protocol)."""
    if not offered:
        return ""
    return next((p for p in offered if p in known), None)


def is_base64(protocol: str) -> bool:
    return "base64" in protocol


def has_status(protocol: str) -> bool:
    """v4 and later send a metav1.Status on the error channel; before, plain text and nothing on success."""
    return protocol.startswith(("v4.", "v5."))


def encode(channel: int, data: bytes, protocol: str) -> bytes | str:
    if is_base64(protocol):
        return str(channel) + base64.b64encode(data).decode()
    return bytes([channel]) + data


def decode(message: bytes | str, protocol: str) -> tuple[int, bytes]:
    """ValueError for what is no channel message."""
    if not message:
        raise ValueError("empty message")
    if isinstance(message, str):
        if is_base64(protocol):
            if not ("0" <= message[0] <= "9"):
                raise ValueError(f"no channel: {message[:1]!r}")
            return int(message[0]), base64.b64decode(message[1:])
        message = message.encode()
    return message[0], bytes(message[1:])


def success_status() -> bytes:
    return json.dumps({"metadata": {}, "status": "Success"}).encode()


def exit_status(code: int) -> bytes:
    """The Status of a command that ended with a code other than 0."""
    return json.dumps({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: error executing command, exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}).encode()


def failure_status(message: str) -> bytes:
    return json.dumps({"metadata": {}, "status": "Failure", "reason": "InternalError",
                       "message": f"Internal error occurred: {message}",
                       "details": {"causes": [{"message": message}]}, "code": 500}).encode()


def exit_code(status: bytes) -> int | None:
    """The code in a Status; 0 for success, None where it failed otherwise."""
    body: dict[str, Any] = json.loads(status)
    if body.get("status") == "Success":
        return 0
    for cause in (body.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return None
