"""IP addresses and CIDRs as fields may have them, in upstream's words (KEP-4858).

In: texts. Out: lists of messages (or FieldErrors, with a path), empty for a good text. Called by: the resource files.
"Legacy" fields are those older than the strict rules; they take any spelling of an address, new fields only the
canonical one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from kubewheel.api import errors
from kubewheel.api.errors import FieldError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LEADING = re.compile(r"(?<![0-9a-fA-F:.])0+(?=\d+\.)|(?<=\.)0+(?=\d)")


def parse(text: str) -> Address | None:
    """Leading zeros of an IPv4 address are decimal, as they are upstream (net.ParseIPSloppy)."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(_LEADING.sub("", text))
    except ValueError:
        return None


def parse_cidr(text: str) -> tuple[Address, Network] | None:
    """(the address written, its network)"""
    head, slash, length = text.rpartition("/")
    address = parse(head) if slash and re.fullmatch("[0-9]+", length) else None
    if address is None or int(length) > address.max_prefixlen:
        return None
    return address, ipaddress.ip_network((address, int(length)), strict=False)


def warnings(text: str, path: str) -> list[str]:
    """What is said of an address that is taken though it is not in canonical form."""
    address = parse(text)
    if address is None or str(address) == text:
        return []
    if _LEADING.search(text) or _is_mapped(address):
        return [f'{path}: non-standard IP address "{text}" is invalid: use "{_unmapped(address)}"']
    return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']


def cidr_warnings(text: str, path: str) -> list[str]:
    parsed = parse_cidr(text)
    if parsed is None or str(parsed[1]) == text:
        return []
    address, network = parsed
    out = []
    if address != network.network_address:
        whole = f"{address}/{address.max_prefixlen}"
        out.append(f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{whole}"?)')
    if _is_odd(text) or _is_mapped(address):
        out.append(f'{path}: non-standard CIDR value "{text}" is invalid: use "{network}"')
    return out or [
        f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")']


def _is_odd(cidr_text: str) -> bool:
    length = cidr_text.rpartition("/")[2]
    return bool(_LEADING.search(cidr_text)) or (len(length) > 1 and length.startswith("0"))


def special(text: str, path: str) -> list[FieldError]:
    """Addresses that traffic must not be sent to (ValidateNonSpecialIP)."""
    address = parse(text)
    if address is None:
        return [errors.field_invalid(path, text, "must be a valid IP address")]
    out = []
    if address.is_unspecified:
        out.append(f"may not be unspecified ({text})")
    if address.is_loopback:
        out.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        out.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in _LOCAL_MULTICAST[address.version]:
        out.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return [errors.field_invalid(path, text, message) for message in out]


_LOCAL_MULTICAST = {4: ipaddress.ip_network("224.0.0.0/24"), 6: ipaddress.ip_network("ff02::/16")}


def is_ip(text: str) -> bool:
    return parse(text) is not None


def _is_mapped(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def stored_ip(text: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    """Of an older field, whose `known` values were taken by older rules."""
    return [] if text in known else [errors.field_invalid(path, text, message) for message in legacy_ip(text)]


def stored_cidr(text: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    return [] if text in known else [errors.field_invalid(path, text, message) for message in legacy_cidr(text)]


def legacy_ip(text: str) -> list[str]:
    address = parse(text)
    if address is None:
        return [NOT_IP]
    out = []
    if _LEADING.search(text):
        out.append("must not have leading 0s")
    if _is_mapped(address):
        out.append("must not be an IPv4-mapped IPv6 address")
    return out


def ip(text: str) -> list[str]:
    found, address = legacy_ip(text), parse(text)
    if not found and str(address) != text:
        found.append(f'must be in canonical form ("{address}")')
    return found


def legacy_cidr(text: str) -> list[str]:
    parsed = parse_cidr(text)
    if parsed is None:
        return [NOT_CIDR]
    address, network = parsed
    if _is_odd(text):
        return ["must not have leading 0s in IP or prefix length"]
    if _is_mapped(address):
        return ["must not have an IPv4-mapped IPv6 address"]
    if address != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


def cidr(text: str) -> list[str]:
    found, parsed = legacy_cidr(text), parse_cidr(text)
    if not found and parsed is not None and str(parsed[1]) != text:
        found.append(f'must be in canonical form ("{parsed[1]}")')
    return found


def interface(text: str) -> list[str]:
    """An address with the length of its network."""
    parsed = parse_cidr(text)
    if parsed is None:
        return ["must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"]
    address, network = parsed
    length = network.prefixlen - 96 if _is_mapped(address) else network.prefixlen
    canonical = f"{_unmapped(address)}/{length}"
    return [] if text == canonical else [f'must be in canonical form ("{canonical}")']
