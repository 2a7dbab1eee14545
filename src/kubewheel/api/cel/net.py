"""IP addresses and CIDRs.

In: values. Out: values; CelError. Called by: program (imported for its declarations).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kubewheel.api.cel.registry import CLASSES, REGISTRY, size_cost, tenth, twice_cost
from kubewheel.api.cel.values import CelError, Opaque

add = REGISTRY.add
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Ip(Opaque):
    type_name = "net.IP"
    address: Address

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Cidr(Opaque):
    type_name = "net.CIDR"
    interface: Network

    def __str__(self) -> str:
        return str(self.interface)


CLASSES["ip"], CLASSES["cidr"] = Ip, Cidr


def _ip(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return None
    return address


def _cidr(text: str) -> Network | None:
    address, slash, length = text.partition("/")
    if not slash or not length.isdigit() or len(length) > 1 and length[0] == "0" or _ip(address) is None:
        return None
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


@add("ip(string) ip", cost=size_cost)
def ip(text: str) -> Ip:
    address = _ip(text)
    if address is None:
        raise CelError(f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP')
    return Ip(address)


add("isIP(string) bool", cost=size_cost)(lambda t: _ip(t) is not None)
add("string(ip) string", "string(cidr) string")(str)
add(":ip.isCanonical(string) bool", cost=twice_cost)(lambda t: str(ip(t)) == t)
add("ip.family() int")(lambda a: a.address.version)
add("ip.isUnspecified() bool")(lambda a: a.address.is_unspecified)
add("ip.isLoopback() bool")(lambda a: a.address.is_loopback)
add("ip.isLinkLocalMulticast() bool")(lambda a: a.address.is_multicast and (
    a.address in ipaddress.ip_network("224.0.0.0/24") if a.address.version == 4
    else int(a.address) >> 112 & 0xF == 2))
add("ip.isLinkLocalUnicast() bool")(lambda a: a.address.is_link_local)
add("ip.isGlobalUnicast() bool")(lambda a: not (
    a.address.is_unspecified or a.address.is_loopback or a.address.is_multicast or a.address.is_link_local
    or str(a.address) == "255.255.255.255"))


@add("cidr(string) cidr", cost=size_cost)
def cidr(text: str) -> Cidr:
    interface = _cidr(text)
    if interface is None:
        why = f'netip.ParsePrefix("{text}")' + ("" if "/" in text else ": no '/'")
        raise CelError("network address parse error during conversion from string: network address parse error during "
                       f"conversion from string: {why}")
    return Cidr(interface)


add("isCIDR(string) bool", cost=size_cost)(lambda t: _cidr(t) is not None)


def _holds(net: Cidr, address: Address) -> bool:
    return address.version == net.interface.version and address in net.interface.network


def _given(text: str) -> Address:
    address = _ip(text)
    if address is None:
        raise CelError("no such overload")
    return address


def _bytes(net: Cidr) -> int:
    return -(-net.interface.network.prefixlen // 8)


add("cidr.containsIP(ip) bool", cost=lambda c, a: tenth(2 * _bytes(c)))(lambda c, a: _holds(c, a.address))
add("cidr.containsIP(string) bool", cost=lambda c, t: tenth(2 * _bytes(c)) + tenth(len(t)))(
    lambda c, t: _holds(c, _given(t)))


def _inside_cost(outer: Cidr, inner: Cidr | str) -> int:
    return tenth(2 * _bytes(outer)) + tenth(_bytes(outer)) + 1 + (tenth(len(inner)) if isinstance(inner, str) else 0)


@add("cidr.containsCIDR(cidr) bool", cost=_inside_cost)
def contains_cidr(outer: Cidr, inner: Cidr) -> bool:
    return _holds(outer, inner.interface.ip) and outer.interface.network.prefixlen <= inner.interface.network.prefixlen


add("cidr.containsCIDR(string) bool", cost=_inside_cost)(lambda c, t: contains_cidr(c, cidr(t)))
add("cidr.ip() ip")(lambda c: Ip(c.interface.ip))
add("cidr.masked() cidr")(lambda c: Cidr(ipaddress.ip_interface(str(c.interface.network))))
add("cidr.prefixLength() int")(lambda c: c.interface.network.prefixlen)
