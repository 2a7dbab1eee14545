"""ServiceCIDRs: ready once seen, kept while addresses of theirs are in use and no other range holds them.

In: servicecidrs, ipaddresses. Out: the finalizer, the condition Ready. `orphans` is pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from kubewheel.api import codec
from kubewheel.api.resource import Object
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key

CIDRS, ADDRESSES = "servicecidrs.networking.k8s.io", "ipaddresses.networking.k8s.io"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
DELAY = 10.0  # an allocator that does not yet know of the deletion may still hand out an address
IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(cidr: Object) -> list[Network]:
    return [ipaddress.ip_network(c, strict=False) for c in (cidr.get("spec") or {}).get("cidrs") or ()]


def orphans(cidr: Object, others: Iterable[Object], addresses: Iterable[str]) -> list[str]:
    """Addresses in this range that no other living range holds."""
    own = networks(cidr)
    rest = [n for o in others if o["metadata"]["name"] != cidr["metadata"]["name"] and not objects.is_terminating(o)
            for n in networks(o)]
    return [a for a in addresses if _in(a, own) and not _in(a, rest)]


def _in(address: str, ranges: Sequence[Network]) -> bool:
    return any(ipaddress.ip_address(address) in n for n in ranges)


async def reconcile(context: Context, key: str) -> float | None:
    cidr = context.cache(CIDRS).get(None, key)
    if cidr is None:
        return None
    have = cidr["metadata"].get("finalizers") or []
    if not objects.is_terminating(cidr):
        if FINALIZER not in have:
            cidr = await context.client.update(CIDRS, _with_finalizers(cidr, [*have, FINALIZER]))
        await _ready(context, cidr, "True", "", "Kubernetes Service CIDR is ready")
        return None
    if FINALIZER not in have:
        return None
    used = orphans(cidr, context.cache(CIDRS).list(), [a["metadata"]["name"] for a in context.cache(ADDRESSES).list()])
    if used:
        context.events.event(objects.with_kind(cidr, "networking.k8s.io/v1", "ServiceCIDR"), "Warning",
                             "KubernetesServiceCIDRError", IN_USE)
        await _ready(context, cidr, "False", "Terminating", IN_USE)
        return None
    left = objects.stamp_of(cidr, "deletionTimestamp") + DELAY - context.clock.now()
    if left > 0:
        await _ready(context, cidr, "False", "Terminating", "")
        return left
    await context.client.update(CIDRS, _with_finalizers(cidr, [f for f in have if f != FINALIZER]))
    return None


def _with_finalizers(cidr: Object, finalizers: list[str]) -> Object:
    new = codec.copy(cidr)
    new["metadata"]["finalizers"] = finalizers
    return new


async def _ready(context: Context, cidr: Object, status: str, reason: str, message: str) -> None:
    old = (cidr.get("status") or {}).get("conditions") or []
    new = objects.set_condition(old, {"type": "Ready", "status": status, "reason": reason or "NetworkReady",
                                      "message": message}, context.clock.now())
    if new != old:
        await context.client.update_status(CIDRS, {**cidr, "status": {"conditions": new}})


def _cidr(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """A new or vanished range decides about those that overlap it, too."""
    yield from own_key(old, new, context)
    for other in context.cache(CIDRS).list():
        if objects.is_terminating(other):
            yield other["metadata"]["name"]


def _address(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    if new is None and old is not None:
        for cidr in context.cache(CIDRS).list():
            if objects.is_terminating(cidr) and _in(old["metadata"]["name"], networks(cidr)):
                yield cidr["metadata"]["name"]


CONTROLLER = Controller(
    name="service-cidr-controller", reconcile=reconcile, watches=(Watch(CIDRS, _cidr), Watch(ADDRESSES, _address)),
    rules=(rule("networking.k8s.io", "servicecidrs", READ + " patch update"),
           rule("networking.k8s.io", "servicecidrs/finalizers servicecidrs/status", "patch update"),
           rule("networking.k8s.io", "ipaddresses", READ), events()))
