"""pods/portforward: a client's SPDY connection passed on to the kubelet's /portForward.

SPDY that comes inside a WebSocket (SPDY/3.1+portforward.k8s.io) is unwrapped here and goes on bare, as upstream does;
all else passes byte for byte. In: Call. Out: an upgraded connection.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from aiohttp import web

from kubewheel.api import errors
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import tunnel
from kubewheel.apiserver.streams.kubelet import DialError
from kubewheel.apiserver.subresources import exec as commands
from kubewheel.apiserver.verbs import get
from kubewheel.client.transport import Response
from kubewheel.lib.streams import channels, port_forward, upgrade


async def handle(call: Call) -> Response:
    ports = [_port(p) for value in call.request.query.get("ports", ()) for p in value.split(",")]
    await commands.admit(call, {"ports": ports} if ports else {})
    await commands.ensure_create(call)
    pod = (await get.entry(call)).obj
    host, port = commands.node_of(call, pod)
    query = "?" + urlencode({"port": ",".join(str(p) for p in ports)}) if ports else ""
    commands.require_upgrade(call)
    connector = call.server.kubelets
    target = tunnel.Target(host, port, f"/portForward/{call.namespace}/{call.name}{query}", connector.kubelet_context)

    async def take(raw: web.BaseRequest) -> web.StreamResponse:
        if upgrade.is_websocket(raw) and channels.PORT_FORWARD in upgrade.offered(raw):
            return await _unwrapped(raw, connector, target)
        return await tunnel.run(raw, connector, target)

    return Response(status=101, upgrade=take)


def _port(text: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 12):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


async def _unwrapped(raw: web.BaseRequest, connector: tunnel.Connector, target: tunnel.Target) -> web.StreamResponse:
    try:
        socket = upgrade.web_socket(raw, channels.PORT_FORWARD)
        reader, writer = await connector.open(target.host, target.port, target.context)
    except upgrade.Refused as e:
        return tunnel.refusal(errors.bad_request(e.text))
    except DialError as e:
        return tunnel.refusal(tunnel.unknown(f"error dialing backend: {e}"))
    try:
        head = (f"POST {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nConnection: Upgrade\r\n"
                f"Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {port_forward.PROTOCOL}\r\nContent-Length: 0\r\n\r\n")
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        if status != 101:
            return await tunnel.refused(answer, status, reader)
        await socket.prepare(raw)
        await tunnel.both_ways(upgrade.WebSocketPipe(socket), reader, writer)
        return socket
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError, ConnectionError) as e:
        return tunnel.refusal(tunnel.unknown(f"error dialing backend: {e}"))
    finally:
        writer.close()
