"""What probes and lifecycle hooks have in common: exec, httpGet, tcpSocket, grpc, and finding ports by name.

In: a handler (part of a probe or hook), where the container is. Out: (verdict, message).
Called by: probes.py, hooks.py.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import aiohttp
import grpc
import grpc.aio
import yarl

from kubewheel.kubelet.cri import Cri, CriError

Object = dict[str, Any]

SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
MAX_OUTPUT = 10 * 1024
REDIRECTED = "Probe terminated redirects"
USER_AGENT = "kube-probe/1.37"


def port_number(port: Any, container: Object) -> int:
    """ValueError for a name the container does not have."""
    if isinstance(port, int):
        return port
    if str(port).isdigit():
        return int(port)
    for item in container.get("ports") or ():
        if item.get("name") == port:
            return item["containerPort"]
    raise ValueError(f"strconv.Atoi: parsing {json.dumps(str(port))}: invalid syntax")  # upstream's last resort


async def run_exec(cri: Cri, container_id: str, handler: Object, timeout: float) -> tuple[str, str]:
    command = handler.get("command") or []
    try:
        code, out, err = await cri.exec_sync(container_id, command, timeout=timeout)
    except CriError as e:
        if e.code == "DEADLINE_EXCEEDED":
            return FAILURE, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s'
        return UNKNOWN, str(e)
    text = (out + err)[:MAX_OUTPUT].decode(errors="replace")
    return (SUCCESS if code == 0 else FAILURE), text


def http_url(handler: Object, container: Object, ip: str) -> str:
    scheme = (handler.get("scheme") or "HTTP").lower()
    host = handler.get("host") or ip
    host = f"[{host}]" if ":" in host else host
    path = handler.get("path") or "/"
    return f"{scheme}://{host}:{port_number(handler['port'], container)}/{path.lstrip('/')}"


async def run_http(url: str, headers: list[Object], timeout: float) -> tuple[str, str]:
    sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in headers:
        sent[header["name"]] = header["value"]
        if header["name"].lower() == "accept" and not header["value"]:
            del sent[header["name"]]
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    limits = aiohttp.ClientTimeout(total=timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, auto_decompress=False) as session,
            session.get(yarl.URL(url, encoded=True), headers=sent, ssl=context, allow_redirects=False) as first,
        ):
            status, body, target = await _follow(session, first, url, sent, context)
    except TimeoutError:
        return FAILURE, (f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    except (aiohttp.ClientError, OSError, ValueError) as e:
        return FAILURE, f'Get "{url}": {_dial_words(e, url)}'
    if target:
        return SUCCESS, f"{REDIRECTED}, Response body: {body}"
    if 200 <= status < 400:
        return SUCCESS, body
    return FAILURE, f"HTTP probe failed with statuscode: {status}"


async def _follow(session: aiohttp.ClientSession, response: aiohttp.ClientResponse, url: str, headers: dict[str, str],
                  context: ssl.SSLContext) -> tuple[int, str, str]:
    """(status, body, where it was sent off to). Redirects are followed on the same host only."""
    for _ in range(10):
        location = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            break
        target = yarl.URL(url).join(yarl.URL(location))
        if target.host != yarl.URL(url).host:
            return response.status, "", str(target)
        url = str(target)
        response = await session.get(target, headers=headers, ssl=context, allow_redirects=False)
    body = await response.content.read(MAX_OUTPUT)
    return response.status, body.decode(errors="replace"), ""


def _dial_words(error: BaseException, url: str) -> str:
    cause = getattr(error, "os_error", error)
    where = yarl.URL(url)
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {where.host}:{where.port}: connect: connection refused"
    if isinstance(cause, ConnectionResetError):
        return "read: connection reset by peer"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or "handshake failure"
        return "http: server gave HTTP response to HTTPS client" if reason == "WRONG_VERSION_NUMBER" else (
            f"remote error: tls: {reason.lower().replace('_', ' ')}")
    if isinstance(error, aiohttp.ClientResponseError):
        return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
    # Nothing that differs from one try to the next: equal events are counted, different ones fill the store.
    return f"dial tcp {where.host}:{where.port}: connect: {(getattr(cause, 'strerror', '') or str(error)).lower()}"


async def run_tcp(host: str, port: int, timeout: float) -> tuple[str, str]:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return FAILURE, f"dial tcp {host}:{port}: i/o timeout"
    except ConnectionRefusedError:
        return FAILURE, f"dial tcp {host}:{port}: connect: connection refused"
    except OSError as e:
        return FAILURE, f"dial tcp {host}:{port}: connect: {(e.strerror or str(e)).lower()}"
    writer.close()
    return SUCCESS, ""


SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def run_grpc(host: str, port: int, service: str, timeout: float) -> tuple[str, str]:
    """grpc.health.v1.Health/Check, its two one-field messages written and read by hand."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    name = service.encode()
    request = (b"\x0a" + bytes([len(name)]) + name) if name else b""
    channel = grpc.aio.insecure_channel(address, options=[("grpc.primary_user_agent", USER_AGENT)])
    try:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = await check(request, timeout=timeout)
    except grpc.aio.AioRpcError as e:
        if e.code() == grpc.StatusCode.UNIMPLEMENTED:
            return FAILURE, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        if e.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
            return FAILURE, f'timeout: failed to connect service "{address}" within {timeout:g}s: context deadline exceeded'
        return FAILURE, f"error: health rpc failed: {e.details()}"
    finally:
        await channel.close()
    status = answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0
    if status == 1:
        return SUCCESS, "service healthy"
    return FAILURE, f'service unhealthy (responded with "{SERVING.get(status, status)}")'


async def run(handler: Object, container: Object, *, cri: Cri, container_id: str, ip: str,
              timeout: float) -> tuple[str, str]:
    """Any of the four kinds."""
    try:
        if part := handler.get("exec"):
            return await run_exec(cri, container_id, part, timeout)
        if part := handler.get("httpGet"):
            return await run_http(http_url(part, container, ip), part.get("httpHeaders") or [], timeout)
        if part := handler.get("tcpSocket"):
            return await run_tcp(part.get("host") or ip, port_number(part["port"], container), timeout)
        if part := handler.get("grpc"):
            return await run_grpc(ip, part["port"], part.get("service") or "", timeout)
    except ValueError as e:
        return UNKNOWN, str(e)
    return UNKNOWN, "missing probe handler"
