"""pods/proxy, services/proxy, nodes/proxy: any method, any path, upgrades too.

In: Call with `[https:]name[:port]` as name. Out: what the backend answers.
"""

from __future__ import annotations

from kubewheel.api import errors
from kubewheel.api.resource import Gvr, Object
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.streams import tunnel
from kubewheel.client.transport import Response

PREFIXES = {"pods": 7, "services": 7, "nodes": 5}


async def handle(call: Call) -> Response:
    scheme, name, port = split(call.info.name)
    plural = call.resource.plural
    if plural == "pods":
        scheme, host, number = await _pod(call, scheme, name, port)
    elif plural == "services":
        scheme, host, number = await _service(call, scheme, name, port)
    else:
        scheme, host, number = await _node(call, scheme, name, port)
    path = rest_of(call)
    # The backend of a pod or service may present any certificate: upstream does not verify it either.
    context = call.server.kubelets.ssl() if scheme == "https" else None
    headers = dict(call.request.headers)
    headers["x-forwarded-uri"] = call.request.raw_path.partition("?")[0]
    headers["x-forwarded-proto"] = "https"
    if tunnel.wants_upgrade(call.request):
        async def upgrade(raw):
            return await tunnel.run(raw, call.request, path, host=host, port=number, context=context)

        return Response(status=101, upgrade=upgrade)
    shown = f"[{host}]" if ":" in host else host
    body = call.request.stream if call.request.stream is not None else call.request.body
    response = await call.server.kubelets.fetch(
        call.request.method, f"{scheme}://{shown}:{number}{path}", headers=headers,
        body=body if not isinstance(body, dict) else None, what=f"{scheme}://{shown}:{number}{path}")
    _rewrite_location(call, response)
    return response


def split(name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of `name`, `name:port`, `https:name:port`, `https:name:`."""
    parts = name.split(":")
    if len(parts) == 1:
        return "http", parts[0], ""
    if len(parts) == 2:
        return "http", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0] or "http", parts[1], parts[2]
    raise errors.bad_request(f"invalid service request {name!r}")


def rest_of(call: Call) -> str:
    """The path behind /proxy, with its query, as the client wrote it."""
    raw, _, query = (call.request.raw_path or call.request.path).partition("?")
    marker = f"/{call.info.name}/proxy".replace(":", "%3A") if "%3A" in raw else f"/{call.info.name}/proxy"
    _, found, rest = raw.partition(marker)
    path = rest if found and rest else "/"
    return path + (f"?{query}" if query else "")


def _rewrite_location(call: Call, response: Response) -> None:
    """A redirect to an absolute path of the backend stays behind the proxy."""
    location = response.headers.get("location", "")
    if location.startswith("/") and not location.startswith("//"):
        raw = call.request.raw_path.partition("?")[0]
        response.headers["location"] = raw.partition("/proxy")[0] + "/proxy" + location


async def _pod(call: Call, scheme: str, name: str, port: str) -> tuple[str, str, int]:
    pod = await call.server.client.get("pods", name, namespace=call.namespace)
    number = int(port) if port.isdigit() else 0
    for container in pod["spec"].get("containers") or ():
        for declared in container.get("ports") or ():
            if (not port and not number) or (port and declared.get("name") == port):
                number = declared["containerPort"]
    ip = (pod.get("status") or {}).get("podIP")
    if not ip:
        raise errors.bad_request(f"address not allowed: pod {name} has no IP yet")
    if port and not number:
        raise errors.bad_request(f'port "{port}" of pod {name} is unknown')
    return scheme, ip, number or (443 if scheme == "https" else 80)


async def _service(call: Call, scheme: str, name: str, port: str) -> tuple[str, str, int]:
    service = await call.server.client.get("services", name, namespace=call.namespace)
    ports = service["spec"].get("ports") or []
    if not port and len(ports) == 1:
        chosen = ports[0]
    else:
        chosen = next((p for p in ports if p.get("name", "") == port or str(p["port"]) == port), None)
    if chosen is None:
        raise errors.service_unavailable(f'no service port "{port}" found for service "{name}"')
    hub = call.server.registry.lookup(Gvr("discovery.k8s.io", "v1", "endpointslices"))
    assert hub is not None
    found: list[tuple[str, int]] = []
    for entry in call.server.watch_cache.resource(hub.registry).under(f"/registry/{hub.registry}/{call.namespace}/"):
        found += _backends(entry.obj, name, chosen.get("name", ""))
    if not found:
        raise errors.service_unavailable(f'no endpoints available for service "{call.info.name}"')
    host, number = call.server.random.choice(found)
    return scheme, host, number


def _backends(endpoint_slice: Object, service: str, port_name: str) -> list[tuple[str, int]]:
    if (endpoint_slice["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != service:
        return []
    numbers = [p["port"] for p in endpoint_slice.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
    return [(address, number) for endpoint in endpoint_slice.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True) is not False
            for address in endpoint["addresses"] for number in numbers]


async def _node(call: Call, scheme: str, name: str, port: str) -> tuple[str, str, int]:
    node = await call.server.client.get("nodes", name)
    host, kubelet_port = call.server.kubelets.address(node)
    if port and port != str(kubelet_port):
        return scheme, host, int(port)
    return "https", host, kubelet_port
