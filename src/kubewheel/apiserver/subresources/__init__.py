"""Subresources and review kinds that the generic verbs cannot answer: one visible table.

Key: (qualified resource, subresource), "" for the resource itself, "*" for any resource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubewheel.apiserver.call import Call
from kubewheel.apiserver.subresources import (
    node_streams,
    pods,
    proxy,
    scale,
)
from kubewheel.client.transport import Response

HANDLERS: dict[tuple[str, str], Callable[[Call], Awaitable[Response]]] = {
    ("bindings", ""): pods.binding,
    ("pods", "binding"): pods.binding,
    ("pods", "eviction"): pods.eviction,
    ("pods", "log"): node_streams.log,
    ("pods", "exec"): node_streams.stream,
    ("pods", "attach"): node_streams.stream,
    ("pods", "portforward"): node_streams.port_forward,
    ("pods", "proxy"): proxy.handle,
    ("services", "proxy"): proxy.handle,
    ("nodes", "proxy"): proxy.handle,
    ("*", "scale"): scale.handle,
}
