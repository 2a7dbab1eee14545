"""Cluster IPs, node ports and health-check node ports of Services.

In: Services being written; at start, those stored. Out: spec.clusterIP(s), nodePort; StatusError 422 as upstream.
Allocation is in memory under one loop and rebuilt from the stored Services at start, so nothing leaks over a crash.
Source of the rules: the Service API page, KEP-563 (dual stack), KEP-3070 (static ranges), KEP-1880, KEP-1881.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubewheel.api import errors
from kubewheel.api.core import service_validation
from kubewheel.api.resource import Object
from kubewheel.apiserver.allocators import addresses, families, ranges
from kubewheel.apiserver.allocators.addresses import cluster_ips
from kubewheel.apiserver.call import Call
from kubewheel.apiserver.hooks import BaseHook

if TYPE_CHECKING:
    from kubewheel.apiserver.server import Server


class Pool:
    """Port numbers of a range; automatic ones come from the upper part first (the lower band is for static use)."""

    def __init__(self, first: int, size: int, *, static_band: int) -> None:
        self.first, self.size = first, size
        self.band = static_band
        self.used: set[int] = set()

    def take(self, number: int) -> bool:
        if number in self.used:
            return False
        self.used.add(number)
        return True

    def contains(self, number: int) -> bool:
        return self.first <= number < self.first + self.size

    def free(self, number: int) -> None:
        self.used.discard(number)

    def any(self, rng) -> int | None:
        if len(self.used) >= self.size:
            return None
        for low, count in ((self.first + self.band, self.size - self.band), (self.first, self.band)):
            if count <= 0:
                continue
            start = rng.randrange(count)
            for i in range(count):
                number = low + (start + i) % count
                if self.take(number):
                    return number
        return None


class ServiceHook(BaseHook):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.configured = ranges.parse(server.options.service_cluster_ip_range)
        self.cluster = tuple(ranges.family(n) for n in self.configured)  # the first is the default
        self.ips = ranges.Ranges(self._networks, self._is_reserved)
        low, high = server.options.service_node_port_range
        self.ports = Pool(low, high - low + 1, static_band=min(max(16, (high - low + 1) // 32), 128))
        self._loaded = False

    def _networks(self) -> list[ranges.Network]:
        cidrs = [entry.obj for entry in self._entries("networking.k8s.io", "ServiceCIDR").values()]
        found = ranges.ready(cidrs)
        if not any(cidr["metadata"]["name"] == "kubernetes" for cidr in cidrs):  # the flag's: about to be written
            found = [*self.configured, *found]
        return sorted(found, key=lambda n: n not in self.configured)

    def _is_reserved(self, address: str) -> bool:
        """By an IPAddress that somebody else made."""
        entry = self._entries("networking.k8s.io", "IPAddress").get(f"/registry/ipaddresses/{address}")
        return entry is not None and not addresses.is_ours(entry.obj)

    def _entries(self, group: str, kind: str) -> Any:
        hub = self.server.registry.by_kind(group, kind)
        assert hub is not None
        return self.server.watch_cache.resource(hub.registry).entries

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for entry in self._entries("", "Service").values():
            for ip in cluster_ips(entry.obj):
                self.ips.note(ip)
            for port in _node_ports(entry.obj):
                self.ports.take(port)

    async def after_mutate(self, call: Call, obj: Object) -> None:
        self._load()
        self._allocate(call, obj, None)

    async def before_update(self, call: Call, new: Object, old: Object) -> None:
        self._load()
        if call.sub is not None:
            return
        spec, before = new.setdefault("spec", {}), old.get("spec") or {}
        if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
            for field in ("clusterIP", "clusterIPs"):  # what a client leaves out stays
                if not spec.get(field) and before.get(field):
                    spec[field] = before[field]
        _keep_ports(spec, before)
        self._allocate(call, new, old)

    async def after_update(self, call: Call, new: Object, old: Object) -> None:
        for ip in set(cluster_ips(old)) - set(cluster_ips(new)):
            self.ips.free(ip)
        for port in set(_node_ports(old)) - set(_node_ports(new)):
            self.ports.free(port)

    async def after_delete(self, call: Call, obj: Object) -> None:
        self._load()
        for ip in cluster_ips(obj):
            self.ips.free(ip)
        for port in _node_ports(obj):
            self.ports.free(port)

    async def release(self, call: Call, obj: Object) -> None:
        for pool, one in call.request.attributes.pop("allocated", ()):
            pool.free(one)

    # -- choosing -------------------------------------------------------------------------------------------------
    def _allocate(self, call: Call, obj: Object, old: Object | None) -> None:
        spec = obj.get("spec") or {}
        taken = call.request.attributes.setdefault("allocated", [])
        name = obj["metadata"].get("name", "")
        if spec.get("type") == "ExternalName":
            _without_empty(spec, "clusterIP", "clusterIPs")  # what is set, validation refuses
        else:
            before = (old or {}).get("spec")
            if found := service_validation.addresses_of(spec, (before or {}).get("clusterIPs") or ()):
                raise errors.invalid("Service", name, found)
            self._addresses(spec, before, name, taken)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            self._node_ports(spec, name, taken, set(_node_ports(old or {})))
        else:
            for port in spec.get("ports") or ():
                _without_empty(port, "nodePort")
            _without_empty(spec, "healthCheckNodePort")

    def _addresses(self, spec: Object, before: Object | None, name: str, taken: list) -> None:
        choice, causes = families.choose(spec, before, self.cluster)
        if causes:
            raise errors.invalid("Service", name, causes)
        ips, had = list(choice.cluster_ips), list((before or {}).get("clusterIPs") or ())
        if ips[:1] != ["None"]:
            for i, family in enumerate(choice.families):
                if i < len(had):
                    continue  # whether it may change, validation says
                if i < len(ips):
                    self._take_address(ips[i], ips, name, taken)
                else:
                    ips.append(self._any_address(family, taken))
        spec["clusterIP"], spec["clusterIPs"] = ips[0] if ips else "", ips
        spec["ipFamilies"], spec["ipFamilyPolicy"] = list(choice.families), choice.policy

    def _any_address(self, family: str, taken: list) -> str:
        found = self.ips.any(family, self.server.random)
        if found is None:
            raise errors.internal("failed to allocate a serviceIP: range is full")
        taken.append((self.ips, found))
        return found

    def _take_address(self, wanted: str, every: list[str], name: str, taken: list) -> None:
        if families.family_of(wanted) is None:
            return  # validation says what is wrong with it
        if (why := self.ips.take(wanted)) is not None:
            raise errors.invalid("Service", name, [
                errors.field_invalid("spec.clusterIPs", every, f"failed to allocate IP {wanted}: {why}")])
        taken.append((self.ips, wanted))

    def _node_ports(self, spec: Object, name: str, taken: list, held: set[int]) -> None:
        if spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
            wanted_ports = [p for p in spec.get("ports") or () if p.get("nodePort")]
        else:
            wanted_ports = spec.get("ports") or []
        seen: dict[int, set[str]] = {}
        for index, port in enumerate(wanted_ports):
            number = port.get("nodePort")
            protocol = port.get("protocol", "TCP")
            if number:
                if number not in held and number not in seen:
                    self._take_port(number, f"spec.ports[{index}].nodePort", name, taken)
            else:
                # one number serves TCP and UDP of the same port
                number = next((n for n, protocols in seen.items() if protocol not in protocols
                               and any(p.get("nodePort") == n and p.get("port") == port.get("port") for p in wanted_ports)), None)
                if number is None:
                    number = self._any_port(taken)
                port["nodePort"] = number
            seen.setdefault(number, set()).add(protocol)
        if spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            wanted = spec.get("healthCheckNodePort")
            if not wanted:
                spec["healthCheckNodePort"] = self._any_port(taken)
            elif wanted not in held:
                self._take_port(wanted, "spec.healthCheckNodePort", name, taken)
        else:
            _without_empty(spec, "healthCheckNodePort")

    def _any_port(self, taken: list) -> int:
        number = self.ports.any(self.server.random)
        if number is None:
            raise errors.internal("failed to allocate a nodePort: range is full")
        taken.append((self.ports, number))
        return number

    def _take_port(self, number: int, path: str, name: str, taken: list) -> None:
        low, size = self.ports.first, self.ports.size
        if not self.ports.contains(number):
            raise errors.invalid("Service", name, [errors.field_invalid(
                path, number, f"provided port is not in the valid range. The range of valid ports is {low}-{low + size - 1}")])
        if not self.ports.take(number):
            raise errors.invalid("Service", name, [errors.field_invalid(path, number, "provided port is already allocated")])
        taken.append((self.ports, number))


def _node_ports(service: Object) -> list[int]:
    spec = service.get("spec") or {}
    numbers = [p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")]
    if spec.get("healthCheckNodePort"):
        numbers.append(spec["healthCheckNodePort"])
    return numbers


def _keep_ports(spec: Object, before: Object) -> None:
    """An update that leaves nodePort out keeps the number of the same port (upstream's patchAllocatedValues)."""
    if spec.get("type") not in ("NodePort", "LoadBalancer") or before.get("type") not in ("NodePort", "LoadBalancer"):
        return
    known = {(p.get("protocol", "TCP"), p.get("port")): p["nodePort"] for p in before.get("ports") or () if p.get("nodePort")}
    used = {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}
    for port in spec.get("ports") or ():
        number = known.get((port.get("protocol", "TCP"), port.get("port")))
        if not port.get("nodePort") and number and number not in used:
            port["nodePort"] = number
            used.add(number)
    if not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _without_empty(of: Object, *fields: str) -> None:
    for field in fields:
        if field in of and not of[field]:
            del of[field]
