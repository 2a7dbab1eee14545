"""Lifecycle hooks: postStart and preStop with exec, httpGet, tcpSocket (never implemented upstream), sleep.

In: a handler and its container. Out: nothing; HookError with the words for the event. Called by: pod_worker.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

import yarl

from kubewheel.kubelet import handlers
from kubewheel.kubelet.cri import Cri

Object = dict[str, Any]


class HookError(Exception):
    pass


async def run(handler: Object, container: Object, *, cri: Cri, container_id: str, ip: str) -> None:
    if part := handler.get("exec"):
        verdict, message = await handlers.run_exec(cri, container_id, part, 0)
        if verdict != handlers.SUCCESS:
            raise HookError(f"command '{' '.join(part.get('command') or [])}' failed: {message}")
    elif part := handler.get("httpGet"):
        url = _url(part, container, ip)
        verdict, message = await handlers.run_http(url, part.get("httpHeaders") or [], 30)
        if verdict != handlers.SUCCESS and part.get("scheme") == "HTTPS":
            # Upstream tries plain HTTP where a hook's TLS handshake fails.
            plain = str(yarl.URL(url, encoded=True).with_scheme("http"))
            verdict, message = await handlers.run_http(plain, part.get("httpHeaders") or [], 30)
        if verdict != handlers.SUCCESS:
            raise HookError(message)
    elif part := handler.get("sleep"):
        await asyncio.sleep(part.get("seconds", 0))
    else:
        raise HookError("invalid handler: no exec, httpGet or sleep")


def _url(handler: Object, container: Object, ip: str) -> str:
    try:
        return handlers.http_url(handler, container, ip)
    except ValueError as e:
        raise HookError(str(e)) from e
