"""Gives every node its pod ranges, cut out of --cluster-cidr (one per address family).

In: nodes. Out: spec.podCIDR(s). Flags: cluster-cidr, node-cidr-mask-size(-ipv4, -ipv6), allocate-node-cidrs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile.controller import Context, Controller, Watch

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def free_range(cluster: str, mask: int, used: Iterable[str]) -> str | None:
    """The first free subnet; None when all are taken."""
    whole = ipaddress.ip_network(cluster)
    step = 1 << (whole.max_prefixlen - mask)
    taken = [n for text in used if (n := ipaddress.ip_network(text)).version == whole.version]
    busy = {int(n.network_address) // step for n in taken}
    wide = [n for n in taken if n.prefixlen < mask]
    first = int(whole.network_address) // step
    for index in range(first, first + (1 << max(mask - whole.prefixlen, 0))):
        address = (
            ipaddress.ip_address(index * step) if whole.version == 4 else ipaddress.IPv6Address(index * step)
        )
        if index not in busy and not any(address in n for n in wide):
            return f"{address}/{mask}"
    return None


async def reconcile(context: Context, key: str) -> None:
    node = context.cache("nodes").get(None, key)
    if node is None or (node.get("spec") or {}).get("podCIDR"):
        return
    given: dict[str, list[str]] = context.state  # what the cache does not show yet
    known = {n["metadata"]["name"]: n for n in context.cache("nodes").list()}
    for name in [n for n in given if n not in known]:
        del given[name]
    used = [c for n in known.values() for c in (n.get("spec") or {}).get("podCIDRs") or ()]
    used += [c for ranges in given.values() for c in ranges]
    ranges = []
    for cluster in str(settings.get(context, "cluster-cidr", "10.244.0.0/16")).split(","):
        v6 = ":" in cluster
        family_mask = settings.get(
            context, "node-cidr-mask-size-ipv6" if v6 else "node-cidr-mask-size-ipv4", 64 if v6 else 24
        )
        mask = int(family_mask if v6 else settings.get(context, "node-cidr-mask-size", family_mask))
        found = free_range(cluster, mask, used)
        if found is None:
            context.events.event(
                {
                    "kind": "Node",
                    "apiVersion": "v1",
                    "metadata": {"name": key, "uid": node["metadata"]["uid"]},
                },
                "Normal",
                "CIDRNotAvailable",
                f"Node {key} status is now: CIDRNotAvailable",
            )
            raise RuntimeError(f"no free range in {cluster} for node {key}")
        ranges.append(found)
    given[key] = ranges
    await context.client.patch("nodes", key, {"spec": {"podCIDR": ranges[0], "podCIDRs": ranges}})


def _without_range(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    enabled = settings.get(context, "allocate-node-cidrs", True) not in (False, "false")
    if enabled and new is not None and not (new.get("spec") or {}).get("podCIDR"):
        yield new["metadata"]["name"]


CONTROLLER = Controller(
    name="node-ipam-controller", events_as="cidrAllocator",
    reconcile=reconcile,
    setup=lambda context: {},
    watches=(Watch("nodes", _without_range),),
    workers=1,  # one allocator: two nodes never get one range
    rules=(rule("", "nodes", READ + " update patch"), rule("", "nodes/status", "patch"), events()),
)
