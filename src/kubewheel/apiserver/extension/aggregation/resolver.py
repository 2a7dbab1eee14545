"""Where the Service of an APIService is reached. Pure.

In: Service and EndpointSlice objects. Out: (host, port); Unresolved says why there is none, in upstream's words.
Called by: backend.py. Upstream's default is the cluster IP; with --enable-aggregator-routing an endpoint is chosen.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from kubewheel.api.resource import Object

Address = tuple[str, int]
_ROUTED = ("ClusterIP", "LoadBalancer", "NodePort")


class Unresolved(Exception):
    """The Service leads nowhere."""


def cluster_ip(service: Object, port: int) -> Address:
    """The Service's own address: its cluster IP, or the name an ExternalName stands for."""
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind == "ExternalName":
        return str(spec.get("externalName", "")).rstrip("."), port
    if kind not in _ROUTED:
        raise Unresolved(f'unsupported service type "{kind}"')
    _port(service, port)
    if spec.get("clusterIP") in (None, "", "None"):
        raise Unresolved('cannot route to service with ClusterIP "None"')
    return spec["clusterIP"], port


def endpoint(service: Object, slices: Iterable[Object], port: int, rng: random.Random) -> Address:
    """One of the Service's ready endpoints, by chance."""
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind == "ExternalName":
        return str(spec.get("externalName", "")).rstrip("."), port
    if kind not in _ROUTED:
        raise Unresolved(f'unsupported service type "{kind}"')
    name = _port(service, port).get("name") or ""
    found = [(address, p["port"]) for s in slices for p in s.get("ports") or ()
             if (p.get("name") or "") == name and p.get("port") for e in s.get("endpoints") or () if is_ready(e)
             for address in (e.get("addresses") or ())[:1]]
    if not found:
        raise Unresolved(f'no endpoints available for service "{service["metadata"]["name"]}"')
    return rng.choice(found)


def is_ready(one: Object) -> bool:
    return (one.get("conditions") or {}).get("ready") is not False


def port_of(service: Object, port: int) -> Object | None:
    """The Service's port with this number."""
    return next((p for p in (service.get("spec") or {}).get("ports") or () if p.get("port") == port), None)


def _port(service: Object, port: int) -> Object:
    found = port_of(service, port)
    if found is None:
        raise Unresolved(f'no service port {port} found for service "{service["metadata"]["name"]}"')
    return found
