"""Services and EndpointSlices to a frozen ruleset: what every backend renders. Pure.

In: Service and EndpointSlice dicts, this node's name and zone. Out: a Ruleset of ServicePorts.
Called by: proxier.py. Source of the rules: the Service and virtual IPs pages, KEP-1672, KEP-1669, KEP-2086.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kubewheel.api.resource import Object

SERVICE_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    ip: str
    port: int
    local: bool = False


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service. `cluster` serves the cluster IP, `external` node ports and outside addresses."""

    name: str  # "ns/svc:port"
    protocol: str  # tcp | udp | sctp
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    external_local: bool = False
    cluster: tuple[Endpoint, ...] = ()
    external: tuple[Endpoint, ...] = ()
    has_endpoints: bool = False  # anywhere, so that a Local policy without local ones drops instead of rejecting


@dataclass(frozen=True, slots=True)
class HealthPort:
    """A healthCheckNodePort: 200 where this node has local endpoints."""

    service: str
    port: int
    local: int


@dataclass(frozen=True, slots=True)
class Ruleset:
    ports: tuple[ServicePort, ...] = ()
    health: tuple[HealthPort, ...] = ()


def build(services: Iterable[Object], slices: Iterable[Object], *, node_name: str, zone: str = "") -> Ruleset:
    by_service: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in slices:
        name = (item["metadata"].get("labels") or {}).get(SERVICE_LABEL)
        if name and item.get("addressType") == "IPv4":
            by_service[item["metadata"]["namespace"], name].append(item)
    ports: list[ServicePort] = []
    health: list[HealthPort] = []
    for service in sorted(services, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"])):
        if is_proxied(service):
            key = (service["metadata"]["namespace"], service["metadata"]["name"])
            made = [_port(service, p, by_service[key], node_name, zone) for p in service["spec"].get("ports") or ()]
            ports += made
            number = service["spec"].get("healthCheckNodePort")
            if number:
                local = {e.ip for port in made for e in port.external if e.local}
                health.append(HealthPort("/".join(key), number, len(local)))
    return Ruleset(tuple(ports), tuple(health))


def is_proxied(service: Object) -> bool:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return False
    return PROXY_NAME_LABEL not in (service["metadata"].get("labels") or {})


def _port(service: Object, port: Object, slices: list[Object], node_name: str, zone: str) -> ServicePort:
    spec, meta = service["spec"], service["metadata"]
    found = _endpoints(slices, port.get("name") or "", node_name)
    all_ready = _usable(found)
    hinted = _by_hints(found, all_ready, zone, node_name)
    internal_local = spec.get("internalTrafficPolicy") == "Local"
    external_local = spec.get("externalTrafficPolicy") == "Local"
    local = _usable([f for f in found if f[0].local])
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        affinity = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") or 10800
    return ServicePort(
        name=f"{meta['namespace']}/{meta['name']}:{port.get('name') or port['port']}",
        protocol=(port.get("protocol") or "TCP").lower(), cluster_ip=spec["clusterIP"], port=port["port"],
        node_port=port.get("nodePort") or 0, external_ips=tuple(spec.get("externalIPs") or ()),
        load_balancer_ips=tuple(i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP"),
        source_ranges=tuple(spec.get("loadBalancerSourceRanges") or ()), affinity_seconds=affinity,
        external_local=external_local, cluster=local if internal_local else hinted,
        external=local if external_local else hinted, has_endpoints=bool(all_ready))


Found = tuple[Endpoint, Object]


def _endpoints(slices: list[Object], port_name: str, node_name: str) -> list[Found]:
    out: dict[tuple[str, int], Found] = {}
    for item in slices:
        numbers = [p["port"] for p in item.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
        for endpoint in item.get("endpoints") or ():
            for number in numbers:
                address = endpoint["addresses"][0]
                out[address, number] = (Endpoint(address, number, endpoint.get("nodeName") == node_name), endpoint)
    return [out[k] for k in sorted(out)]


def _usable(found: list[Found]) -> tuple[Endpoint, ...]:
    """The ready ones; where none is, those still serving while they terminate (KEP-1669)."""
    ready = tuple(e for e, raw in found if (raw.get("conditions") or {}).get("ready", True) is not False)
    if ready:
        return ready
    return tuple(e for e, raw in found if (raw.get("conditions") or {}).get("serving")
                 and (raw.get("conditions") or {}).get("terminating"))


def _by_hints(found: list[Found], usable: tuple[Endpoint, ...], zone: str, node_name: str) -> tuple[Endpoint, ...]:
    """Endpoints hinted for this node or zone, if every usable one carries hints and some fit (KEP-2433)."""
    raw = {e: endpoint for e, endpoint in found}
    hints = [raw[e].get("hints") or {} for e in usable]
    for field, value in (("forNodes", node_name), ("forZones", zone)):
        if value and usable and all(h.get(field) for h in hints):
            fitting = tuple(e for e, h in zip(usable, hints, strict=True) if any(x["name"] == value for x in h[field]))
            if fitting:
                return fitting
    return usable
