"""The cluster's ranges of Service addresses: those of the ready ServiceCIDRs (KEP-1880), and the flag's until it is one of them.

In: ServiceCIDR objects, the networks of --service-cluster-ip-range. Out: addresses taken and given back.
Called by: services.py. What is in use is one set for all ranges, so overlapping ranges need no care.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from kubewheel.api.resource import Object

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MISMATCH = "the provided network does not match the current range"
ALLOCATED = "provided IP is already allocated"


def parse(text: str) -> list[Network]:
    """--service-cluster-ip-range: one network, or one of each family, comma-separated. ValueError otherwise."""
    return [network(part) for part in text.split(",")]


@cache
def network(text: str) -> Network:
    return ipaddress.ip_network(text.strip())


def family(of: Network | Address) -> str:
    return f"IPv{of.version}"


def first_and_size(of: Network) -> tuple[int, int]:
    """Of the addresses that may be handed out: neither the network's own nor IPv4's broadcast."""
    return int(of.network_address) + 1, of.num_addresses - (2 if of.version == 4 else 1)


def band_of(size: int) -> int:
    """min(max(16, size/16), 256): how much of a range is kept for addresses that users choose (KEP-3070)."""
    return 0 if size < 16 else min(max(16, size // 16), 256)


def ready(cidrs: Iterable[Object]) -> list[Network]:
    """Where a new Service may get its address. A ServiceCIDR without a condition counts: nobody runs the controller."""
    out = []
    for cidr in cidrs:
        conditions = {c["type"]: c["status"] for c in (cidr.get("status") or {}).get("conditions") or ()}
        if not cidr["metadata"].get("deletionTimestamp") and conditions.get("Ready", "True") == "True":
            out += [network(text) for text in (cidr.get("spec") or {}).get("cidrs") or ()]
    return out


class Ranges:
    """`networks` gives the ranges of the moment; `is_reserved` whether somebody keeps an address for himself."""

    def __init__(self, networks: Callable[[], Sequence[Network]], is_reserved: Callable[[str], bool]) -> None:
        self._networks, self._is_reserved = networks, is_reserved
        self._used: set[Address] = set()

    def note(self, address: str) -> None:
        """It is in use, wherever it lies: stored Services keep what they have."""
        self._used.add(ipaddress.ip_address(address))

    def take(self, text: str) -> str | None:
        """None, or why it can't be had."""
        address = ipaddress.ip_address(text)
        within = [n for n in self._networks() if n.version == address.version and address in n]
        if not within:
            return MISMATCH
        if not any(first <= int(address) < first + size for first, size in map(first_and_size, within)):
            return f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {within[0]}"
        if address in self._used or self._is_reserved(str(address)):
            return ALLOCATED
        self._used.add(address)
        return None

    def any(self, wanted: str, rng: random.Random) -> str | None:
        """A free address of a family, from the upper part of a range first; None where all are full."""
        for one in self._networks():
            if family(one) == wanted and (found := self._any_of(one, rng)) is not None:
                self._used.add(found)
                return str(found)
        return None

    def free(self, text: str) -> None:
        self._used.discard(ipaddress.ip_address(text))

    def _any_of(self, one: Network, rng: random.Random) -> Address | None:
        first, size = first_and_size(one)
        if len(self._used) >= size and sum(a in one for a in self._used) >= size:
            return None
        band = band_of(size)
        make = ipaddress.IPv4Address if one.version == 4 else ipaddress.IPv6Address
        for low, count in ((first + band, size - band), (first, band)):
            start = rng.randrange(count) if count > 0 else 0
            for i in range(count):
                address = make(low + (start + i) % count)
                if address not in self._used and not self._is_reserved(str(address)):
                    return address
        return None
