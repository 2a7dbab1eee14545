"""What cluster names mean. Pure look-ups over Services and EndpointSlices (the Kubernetes DNS specification 1.1.0).

In: objects by index, a name. Out: records, "no data" or "no such name". Called by: server.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kubewheel.api.resource import Object

TTL = 5


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    type: str  # A AAAA SRV PTR CNAME TXT NS SOA
    value: tuple[object, ...]  # A: (ip,) SRV: (priority, weight, port, target) PTR/CNAME/TXT/NS: (text,) SOA: (ns, mail, times)


@dataclass(slots=True)
class Answer:
    """`exists` False is NXDOMAIN; True without records is "no data"."""

    exists: bool
    records: list[Record] = field(default_factory=list)
    extra: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Sources:
    service: Callable[[str, str], Object | None]
    slices: Callable[[str, str], Iterable[Object]]  # of a service
    has_namespace: Callable[[str], bool]
    service_by_ip: Callable[[str], Object | None]
    slices_by_ip: Callable[[str], Iterable[Object]]


class Zone:
    def __init__(self, domain: str, sources: Sources) -> None:
        self.domain = domain.strip(".").lower()
        self._labels = self.domain.split(".")
        self._sources = sources

    def owns(self, name: str) -> bool:
        return name == self.domain or name.endswith("." + self.domain)

    def lookup(self, name: str, qtype: str) -> Answer:
        """`name` without the last dot, lower case."""
        parts = name.split(".")[: -len(self._labels)]
        if not parts:
            return self._apex(name, qtype)
        if parts == ["ns", "dns"]:
            return Answer(True, [r for r in self._name_server()[1] if r.type == qtype])
        if parts == ["dns-version"]:
            return Answer(True, [Record(name, "TXT", ("1.1.0",))] if qtype == "TXT" else [])
        kind = parts[-1]
        if kind == "svc":
            return self._service(name, parts[:-1], qtype)
        if kind == "pod":
            return self._pod(name, parts[:-1], qtype)
        return Answer(False)

    def reverse(self, name: str) -> Answer | None:
        """PTR of an address of ours; None if the address is not ours (ask elsewhere)."""
        ip = address_of(name)
        if ip is None:
            return None
        service = self._sources.service_by_ip(ip)
        if service is not None:
            meta = service["metadata"]
            return Answer(True, [Record(name, "PTR", (f"{meta['name']}.{meta['namespace']}.svc.{self.domain}.",))])
        found = []
        for item in self._sources.slices_by_ip(ip):
            owner = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            for endpoint in item.get("endpoints") or ():
                if ip in endpoint["addresses"] and owner:
                    host = hostname_of(endpoint, ip)
                    found.append(Record(name, "PTR", (f"{host}.{owner}.{item['metadata']['namespace']}.svc.{self.domain}.",)))
        return Answer(True, found) if found else None

    def soa(self) -> Record:
        """The zone's start of authority; what "no such name" and "no data" carry as well (RFC 2308)."""
        return Record(self.domain, "SOA", (f"ns.dns.{self.domain}.", f"hostmaster.{self.domain}.", (1, 7200, 1800, 86400, TTL)))

    def _apex(self, name: str, qtype: str) -> Answer:
        if qtype == "SOA":
            return Answer(True, [self.soa()])
        if qtype == "NS":
            server, addresses = self._name_server()
            return Answer(True, [Record(name, "NS", (server + ".",))], [Record(server, r.type, r.value) for r in addresses])
        return Answer(True)

    def _name_server(self) -> tuple[str, list[Record]]:
        """The zone's name server as CoreDNS names it: the Service that pods are told to ask, with its addresses."""
        service = self._sources.service("kube-system", "kube-dns")
        default = f"ns.dns.{self.domain}"
        if service is None:
            return default, []
        spec = service["spec"]
        ips = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"]
        return f"kube-dns.kube-system.svc.{self.domain}", [_address(default, ip) for ip in ips]

    # -- services -------------------------------------------------------------------------------------------------
    def _service(self, name: str, parts: list[str], qtype: str) -> Answer:
        if not parts:
            return Answer(True)
        namespace = parts[-1]
        if len(parts) == 1:
            return Answer(self._sources.has_namespace(namespace))
        service = self._sources.service(namespace, parts[-2])
        if service is None:
            return Answer(False)
        rest = parts[:-2]
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            if rest:
                return Answer(False)
            return Answer(True, [Record(name, "CNAME", (spec["externalName"].rstrip(".") + ".",))])
        if not rest:
            return self._addresses(name, service, qtype)
        if len(rest) == 2 and rest[0].startswith("_") and rest[1].startswith("_"):
            return self._srv(name, service, rest[0][1:], rest[1][1:], qtype)
        if len(rest) == 1 and rest[0].startswith("_"):
            return Answer(any((p.get("protocol") or "TCP").lower() == rest[0][1:] for p in spec.get("ports") or ()))
        if len(rest) == 1:
            return self._host(name, service, rest[0], qtype)
        return Answer(False)

    def _addresses(self, name: str, service: Object, qtype: str) -> Answer:
        spec = service["spec"]
        if spec.get("clusterIP") != "None":
            found = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip]
            if qtype == "SRV":
                records = [Record(name, "SRV", (0, 100, p["port"], name + ".")) for p in spec.get("ports") or ()]
                return Answer(True, records, [r for ip in found for r in [_address(name, ip)]])
            return Answer(True, [r for ip in found if (r := _address(name, ip)).type == qtype])
        ready = list(self._ready(service))
        if qtype == "SRV":
            return self._headless_srv(name, service, None)
        unique = dict.fromkeys(a for endpoint, _ in ready for a in endpoint["addresses"])
        return Answer(True, [r for ip in unique if (r := _address(name, ip)).type == qtype])

    def _ready(self, service: Object) -> Iterable[tuple[Object, Object]]:
        all_of_them = service["spec"].get("publishNotReadyAddresses")
        meta = service["metadata"]
        for item in self._sources.slices(meta["namespace"], meta["name"]):
            for endpoint in item.get("endpoints") or ():
                if all_of_them or (endpoint.get("conditions") or {}).get("ready", True) is not False:
                    yield endpoint, item

    def _host(self, name: str, service: Object, host: str, qtype: str) -> Answer:
        found: list[Record] = []
        exists = False
        for endpoint, _ in self._ready(service):
            for ip in endpoint["addresses"]:
                if hostname_of(endpoint, ip) == host:
                    exists = True
                    if (record := _address(name, ip)).type == qtype and record not in found:
                        found.append(record)
        return Answer(exists, found)

    def _srv(self, name: str, service: Object, port_name: str, protocol: str, qtype: str) -> Answer:
        spec, meta = service["spec"], service["metadata"]
        ports = [p for p in spec.get("ports") or () if (p.get("name") or "").lower() == port_name
                 and (p.get("protocol") or "TCP").lower() == protocol]
        if not ports:
            return Answer(False)
        if spec.get("clusterIP") == "None":
            return self._headless_srv(name, service, (port_name, protocol)) if qtype == "SRV" else Answer(True)
        target = f"{meta['name']}.{meta['namespace']}.svc.{self.domain}"
        if qtype != "SRV":
            return Answer(True)
        return Answer(True, [Record(name, "SRV", (0, 100, p["port"], target + ".")) for p in ports],
                      [_address(target, ip) for ip in spec.get("clusterIPs") or [spec["clusterIP"]]])

    def _headless_srv(self, name: str, service: Object, only: tuple[str, str] | None) -> Answer:
        meta = service["metadata"]
        records: list[Record] = []
        extra: list[Record] = []
        for endpoint, item in self._ready(service):
            for port in item.get("ports") or ():
                if only and ((port.get("name") or "").lower(), (port.get("protocol") or "TCP").lower()) != only:
                    continue
                for ip in endpoint["addresses"]:
                    target = f"{hostname_of(endpoint, ip)}.{meta['name']}.{meta['namespace']}.svc.{self.domain}"
                    record = Record(name, "SRV", (0, 100, port.get("port") or 0, target + "."))
                    if record not in records:
                        records.append(record)
                    if (address := _address(target, ip)) not in extra:
                        extra.append(address)
        weight = max(1, 100 // len(records)) if records else 0
        records = [Record(r.name, r.type, (0, weight, *r.value[2:])) for r in records]
        return Answer(True, records, extra)

    # -- pods -----------------------------------------------------------------------------------------------------
    def _pod(self, name: str, parts: list[str], qtype: str) -> Answer:
        if not parts:
            return Answer(True)
        if not self._sources.has_namespace(parts[-1]):
            return Answer(False)
        if len(parts) == 1:
            return Answer(True)
        ip = parts[0].replace("-", ".") if parts[0].count("-") == 3 else parts[0].replace("-", ":")
        try:
            ipaddress.ip_address(ip)
        except ValueError:
            return Answer(False)
        if len(parts) != 2:
            return Answer(False)
        record = _address(name, ip)
        return Answer(True, [record] if record.type == qtype else [])


def hostname_of(endpoint: Object, ip: str) -> str:
    return endpoint.get("hostname") or ip.replace(".", "-").replace(":", "-")


def _address(name: str, ip: str) -> Record:
    return Record(name, "AAAA" if ":" in ip else "A", (ip,))


def address_of(name: str) -> str | None:
    """The address of an in-addr.arpa or ip6.arpa name."""
    if name.endswith(".in-addr.arpa"):
        parts = name.removesuffix(".in-addr.arpa").split(".")
        return ".".join(reversed(parts)) if len(parts) == 4 else None
    if name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").split(".")
        if len(digits) != 32:
            return None
        flat = "".join(reversed(digits))
        return str(ipaddress.ip_address(":".join(flat[i:i + 4] for i in range(0, 32, 4))))
    return None
