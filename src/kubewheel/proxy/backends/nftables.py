"""A Ruleset as one nftables transaction. `render` is pure; `Nftables.apply` feeds it to nft(8).

In: Ruleset. Out: table `ip kube-proxy`. Client affinity survives a change: its sets are not flushed.
Called by: proxier.py. Chains and their order follow upstream's nftables mode (KEP-3866) in outline.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field

from kubewheel.proxy.model import Endpoint, Ruleset, ServicePort

TABLE = "kube-proxy"
MARK = "0x4000"

# Base chains: name -> (hook line, rules). Order within a hook is nft's priority.
BASE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("filter-input", "type filter hook input priority -110;", ("ct state new jump endpoints-check",)),
    ("filter-forward", "type filter hook forward priority -110;", ("ct state new jump endpoints-check",)),
    ("filter-output", "type filter hook output priority -110;", ("ct state new jump endpoints-check",)),
    ("nat-prerouting", "type nat hook prerouting priority -100;", ("jump services",)),
    ("nat-output", "type nat hook output priority -100;", ("jump services",)),
    ("nat-postrouting", "type nat hook postrouting priority 100;", ("jump masquerading",)),
)
MAPS = (
    ("service-ips", "type ipv4_addr . inet_proto . inet_service : verdict;"),
    ("service-nodeports", "type inet_proto . inet_service : verdict;"),
    ("no-endpoint-services", "type ipv4_addr . inet_proto . inet_service : verdict;"),
    ("no-endpoint-nodeports", "type inet_proto . inet_service : verdict;"),
)


@dataclass(slots=True)
class Rendered:
    """The text of a transaction, and what now exists (to be flushed and removed by the next one)."""

    text: str
    chains: set[str] = field(default_factory=set)
    affinity_sets: set[str] = field(default_factory=set)


def short(name: str) -> str:
    """A chain name part that is legal and unique: hash of the service port's name, and the name for readers."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    clean = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return f"{digest}-{clean}"[:100]


class _Writer:
    def __init__(self, cluster_cidr: str) -> None:
        self.cluster_cidr = cluster_cidr
        self.chains: dict[str, list[str]] = {}
        self.sets: dict[str, int] = {}  # affinity set -> seconds
        self.elements: dict[str, dict[str, str]] = {name: {} for name, _ in MAPS}
        self.hairpin: set[str] = set()

    def service(self, port: ServicePort) -> None:
        key = f"{port.protocol} . {port.port}"
        inside = self._balanced(port, port.cluster, "service", masquerade=self.cluster_cidr)
        self._to(port, f"{port.cluster_ip} . {key}", inside, port.cluster)
        if not (port.node_port or port.external_ips or port.load_balancer_ips):
            return
        outside = self._balanced(port, port.external, "external",
                                 masquerade="" if port.external_local else "always",
                                 drop_if_empty=port.external_local and port.has_endpoints)
        for ip in port.external_ips:
            self._to(port, f"{ip} . {key}", outside, port.external)
        for ip in port.load_balancer_ips:
            self._to(port, f"{ip} . {key}", self._firewalled(port, outside), port.external)
        if port.node_port:
            node_key = f"{port.protocol} . {port.node_port}"
            if outside:
                self.elements["service-nodeports"][node_key] = f"goto {outside}"
            else:
                self.elements["no-endpoint-nodeports"][node_key] = "drop" if port.has_endpoints else "goto reject-chain"

    def _to(self, port: ServicePort, key: str, chain: str, endpoints: tuple[Endpoint, ...]) -> None:
        if chain:
            self.elements["service-ips"][key] = f"goto {chain}"
        else:
            self.elements["no-endpoint-services"][key] = "drop" if port.has_endpoints else "goto reject-chain"

    def _balanced(self, port: ServicePort, endpoints: tuple[Endpoint, ...], kind: str, *, masquerade: str,
                  drop_if_empty: bool = False) -> str:
        """A chain that sends each new connection to one endpoint at random; "" where there is none."""
        if not endpoints:
            return ""
        name = f"{kind}-{short(port.name)}-{port.protocol}"
        rules = self.chains[name] = []
        if masquerade == "always":
            rules.append("jump mark-for-masquerade")
        elif masquerade:
            rules.append(f"ip saddr != {masquerade} jump mark-for-masquerade")
        for endpoint in endpoints:
            if not endpoint.ip.startswith("127."):  # the loopback would end for everybody (an API server on 127.0.0.1)
                self.hairpin.add(f"{endpoint.ip} . {endpoint.ip}")
        if port.affinity_seconds:
            self._sticky(port, endpoints, name, rules)
        elif len(endpoints) == 1:
            rules.append(f"meta l4proto {port.protocol} dnat to {endpoints[0].ip}:{endpoints[0].port}")
        else:
            targets = ", ".join(f"{i} : {e.ip} . {e.port}" for i, e in enumerate(endpoints))
            rules.append(f"meta l4proto {port.protocol} dnat ip to numgen random mod {len(endpoints)} map {{ {targets} }}")
        return name

    def _sticky(self, port: ServicePort, endpoints: tuple[Endpoint, ...], name: str, rules: list[str]) -> None:
        chains = []
        for endpoint in endpoints:
            digest = hashlib.sha256(f"{port.name}/{port.protocol}/{endpoint.ip}:{endpoint.port}".encode()).hexdigest()[:12]
            affinity, chain = f"affinity-{digest}", f"endpoint-{digest}"
            self.sets[affinity] = port.affinity_seconds
            self.chains[chain] = [f"update @{affinity} {{ ip saddr }}",
                                  f"meta l4proto {port.protocol} dnat to {endpoint.ip}:{endpoint.port}"]
            rules.append(f"ip saddr @{affinity} goto {chain}")
            chains.append(chain)
        choices = ", ".join(f"{i} : goto {c}" for i, c in enumerate(chains))
        rules.append(f"numgen random mod {len(chains)} vmap {{ {choices} }}")

    def _firewalled(self, port: ServicePort, chain: str) -> str:
        if not chain or not port.source_ranges:
            return chain
        name = f"firewall-{short(port.name)}-{port.protocol}"
        self.chains[name] = [f"ip saddr {{ {', '.join(port.source_ranges)} }} goto {chain}", "drop"]
        return name


def render(rules: Ruleset, *, cluster_cidr: str, before: Rendered | None = None) -> Rendered:
    """The transaction from what `before` left (None: nothing is known, the table is made anew)."""
    writer = _Writer(cluster_cidr)
    for port in rules.ports:
        writer.service(port)
    out = [f"add table ip {TABLE}"]
    if before is None:
        out += [f"delete table ip {TABLE}", f"add table ip {TABLE}"]
        before = Rendered("")
    out += _frame()
    out += [f"add set ip {TABLE} {name} {{ type ipv4_addr; flags dynamic,timeout; timeout {seconds}s; }}"
            for name, seconds in sorted(writer.sets.items())]
    for name in sorted(writer.chains):
        out += [f"add chain ip {TABLE} {name}", f"flush chain ip {TABLE} {name}"]
    for name, _ in MAPS:
        out.append(f"flush map ip {TABLE} {name}")
    out.append(f"flush set ip {TABLE} hairpin")
    for name in sorted(before.chains - set(writer.chains)):
        out.append(f"flush chain ip {TABLE} {name}")
    for name, lines in sorted(writer.chains.items()):
        out += [f"add rule ip {TABLE} {name} {line}" for line in lines]
    for name, elements in writer.elements.items():
        if elements:
            out.append(f"add element ip {TABLE} {name} {{ " + ", ".join(f"{k} : {v}" for k, v in sorted(elements.items())) + " }")
    if writer.hairpin:
        out.append(f"add element ip {TABLE} hairpin {{ {', '.join(sorted(writer.hairpin))} }}")
    out += [f"delete chain ip {TABLE} {name}" for name in sorted(before.chains - set(writer.chains))]
    out += [f"delete set ip {TABLE} {name}" for name in sorted(before.affinity_sets - set(writer.sets))]
    return Rendered("\n".join(out) + "\n", set(writer.chains), set(writer.sets))


def _frame() -> list[str]:
    """Base chains, maps and fixed chains; adding what is there changes nothing, rules are flushed first."""
    out = [f"add map ip {TABLE} {name} {{ {kind} }}" for name, kind in MAPS]
    out.append(f"add set ip {TABLE} hairpin {{ type ipv4_addr . ipv4_addr; }}")
    fixed: dict[str, tuple[str, ...]] = {
        "reject-chain": ("reject",),
        "mark-for-masquerade": (f"meta mark set meta mark or {MARK}",),
        "masquerading": (f"meta mark & {MARK} != 0 meta mark set meta mark xor {MARK} masquerade",
                         "ip saddr . ip daddr @hairpin masquerade",
                         # a node port asked for by 127.0.0.1 (the bridge's route_localnet lets it out)
                         'ip saddr 127.0.0.0/8 oifname != "lo" masquerade'),
        "services": ("ip daddr . meta l4proto . th dport vmap @service-ips",
                     "fib daddr type local meta l4proto . th dport vmap @service-nodeports"),
        "endpoints-check": ("ip daddr . meta l4proto . th dport vmap @no-endpoint-services",
                            "fib daddr type local meta l4proto . th dport vmap @no-endpoint-nodeports"),
    }
    for name in fixed:
        out += [f"add chain ip {TABLE} {name}", f"flush chain ip {TABLE} {name}"]
    for name, hook, _ in BASE:
        out += [f"add chain ip {TABLE} {name} {{ {hook} }}", f"flush chain ip {TABLE} {name}"]
    for name, lines in fixed.items():
        out += [f"add rule ip {TABLE} {name} {line}" for line in lines]
    for name, _, lines in BASE:
        out += [f"add rule ip {TABLE} {name} {line}" for line in lines]
    return out


class NftError(Exception):
    """nft refused the transaction; nothing was changed."""


class Nftables:
    def __init__(self, *, cluster_cidr: str) -> None:
        self._cluster_cidr = cluster_cidr
        self._before: Rendered | None = None

    async def apply(self, rules: Ruleset) -> None:
        """One transaction. NftError leaves the kernel as it was; the next one starts anew."""
        made = render(rules, cluster_cidr=self._cluster_cidr, before=self._before)
        try:
            await _nft(made.text)
        except NftError:
            self._before = None
            raise
        self._before = made

    async def remove(self) -> None:
        await _nft(f"add table ip {TABLE}\ndelete table ip {TABLE}\n")


async def _nft(text: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "nft", "-f", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    _, stderr = await process.communicate(text.encode())
    if process.returncode != 0:
        raise NftError(stderr.decode(errors="replace").strip())
