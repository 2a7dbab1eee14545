"""pods/proxy, services/proxy, nodes/proxy: a request passed on to a pod, an endpoint of a service, a kubelet.

In: Call with `[https:]name[:port]` as name. Out: what the backend answers. Source of the rules: "Access services running
on clusters" and the connect options of the API reference.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import quote

from aiohttp import web

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import html_links, kubelet, proxying, tunnel
from kubewheel.apiserver.subresources import exec as commands
from kubewheel.client.transport import Response

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
UNESCAPED = "/$&+,:;=@-_.~"  # of a path, in Go's net/url


async def handle(call: Call) -> Response:
    if call.request.method not in METHODS:
        raise errors.not_allowed()
    below = path_below(call)
    await commands.admit(call, {"path": below} if below else {})
    place = await _PLACES[call.resource.plural](call)
    connector = call.server.kubelets
    context = connector.kubelet_context if place.is_kubelet else connector.any_context
    path = html_links.clean(below)
    if tunnel.wants_upgrade(call.request) and call.request.hijack is not None:
        query = call.request.raw_path.partition("?")[2]
        target = tunnel.Target(place.host, place.number, (quote(path, safe=UNESCAPED) or "/") + (f"?{query}" if query else ""),
                               context if place.scheme == "https" else None)

        async def take(raw: web.BaseRequest) -> web.StreamResponse:
            return await tunnel.run(raw, connector, target)

        return Response(status=101, upgrade=take)
    if not path.endswith("/") and call.request.path.endswith("/"):
        path += "/"
    if not path and call.request.method in ("GET", "HEAD"):
        return _with_slash(call)
    shown, all_of_it = quote(path, safe=UNESCAPED), quote(call.request.path, safe=UNESCAPED)
    return await proxying.exchange(connector, call.request, proxying.Target(
        place.scheme, place.host, place.port, shown, context, prefix=all_of_it.removesuffix(shown)))


def _with_slash(call: Call) -> Response:
    """Relative links of the page behind would else lead past it."""
    query = call.request.raw_path.partition("?")[2]
    return Response(status=301, body=b"", headers={"location": quote(call.request.path, safe=UNESCAPED) + "/" + (
        f"?{query}" if query else "")})


def path_below(call: Call) -> str:
    """What stands behind /proxy, decoded, with its leading slash; "" for nothing."""
    rest = "/".join(call.info.parts[3:])
    if rest and not rest.startswith("/"):
        rest = "/" + rest
    if call.request.path.endswith("/") and not rest.endswith("/"):
        rest += "/"
    return rest


class Place:
    """Where a request goes: port None is the scheme's own."""

    def __init__(self, scheme: str, host: str, port: int | None, *, is_kubelet: bool = False) -> None:
        self.scheme = scheme or "http"
        self.host, self.port, self.is_kubelet = host, port, is_kubelet

    @property
    def number(self) -> int:
        return self.port or (443 if self.scheme == "https" else 80)


def split(name: str, what: str) -> tuple[str, str, str]:
    """(scheme, name, port) of `name`, `name:port`, `scheme:name:port`."""
    parts = name.split(":")
    if len(parts) in (1, 2):
        parts = ["", *parts, *[""] * (2 - len(parts))]
    if len(parts) != 3 or not parts[1] or parts[0] not in ("http", "https", ""):
        raise errors.bad_request(f'invalid {what} request "{name}"')
    return parts[0], parts[1], parts[2]


def _check_address(host: str) -> None:
    """Nothing but global unicast addresses is dialled: not the API server's own loopback, not link-local ones."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError as e:
        raise errors.bad_request("address not allowed") from e
    if (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
            or host == "255.255.255.255"):
        raise errors.bad_request("address not allowed")


def _port_number(host: str, port: str) -> int | None:
    if not port:
        return None
    if port.isascii() and port.isdigit():
        if not 0 < int(port) < 65536:
            raise errors.service_unavailable(
                f"error trying to reach service: dial tcp: address {port}: invalid port" if int(port) else
                f"error trying to reach service: dial tcp {kubelet.joined(host, 0)}: connect: connection refused")
        return int(port)
    try:
        return socket.getservbyname(port, "tcp")  # as Go's dialer does
    except (OSError, ValueError) as e:
        raise errors.service_unavailable(f"error trying to reach service: dial tcp: lookup tcp/{port}: unknown port") from e


async def _pod(call: Call) -> Place:
    scheme, name, port = split(call.info.name, "pod")
    pod = await call.server.client.get("pods", name, namespace=call.namespace)
    if not port:
        ports = [c["ports"] for c in pod["spec"].get("containers") or () if c.get("ports")]
        port = str(ports[0][0]["containerPort"]) if ports else ""
    host = next((a["ip"] for a in (pod.get("status") or {}).get("podIPs") or ()), "")
    _check_address(host)
    return Place(scheme, host, _port_number(host, port))


async def _service(call: Call) -> Place:
    scheme, name, port = split(call.info.name, "service")
    service = await call.server.client.get("services", name, namespace=call.namespace)
    if port.isascii() and port.isdigit():
        chosen = next((p for p in service["spec"].get("ports") or () if p["port"] == int(port)), None)
        if chosen is None:
            raise errors.service_unavailable(f'no service port {int(port)} found for service "{name}"')
        port = chosen.get("name", "")
    hub = call.server.registry.lookup(Gvr("discovery.k8s.io", "v1", "endpointslices"))
    assert hub is not None
    found: list[tuple[str, int]] = []
    for entry in call.server.watch_cache.resource(hub.registry).under(f"/registry/{hub.registry}/{call.namespace}/"):
        found += backends(entry.obj, name, port)
    if not found:
        raise errors.service_unavailable(f'no endpoints available for service "{call.info.name}"')
    host, number = call.server.random.choice(found)
    _check_address(host)
    return Place(scheme, host, number)


def backends(endpoint_slice: Object, service: str, port_name: str) -> list[tuple[str, int]]:
    """Ready endpoints of the service that are pods (no others are proxied to), at the port of that name."""
    meta = endpoint_slice["metadata"]
    if (meta.get("labels") or {}).get("kubernetes.io/service-name") != service:
        return []
    numbers = [p["port"] for p in endpoint_slice.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
    return [(address, number) for endpoint in endpoint_slice.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True) is not False
            and (endpoint.get("targetRef") or {}).get("kind", "Pod") == "Pod" and endpoint.get("targetRef")
            for address in endpoint["addresses"] for number in numbers]


async def _node(call: Call) -> Place:
    scheme, name, port = split(call.info.name, "node")
    host, kubelet_port = kubelet.node_address(call, name)
    if not port or port == str(kubelet_port):
        return Place("https", host, kubelet_port, is_kubelet=True)
    _check_address(host)
    return Place(scheme, host, _port_number(host, port))


_PLACES = {"pods": _pod, "services": _service, "nodes": _node}
