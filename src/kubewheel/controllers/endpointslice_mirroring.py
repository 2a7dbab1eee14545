"""EndpointSlices for Endpoints that somebody wrote by hand, for a Service without a selector (KEP-752).

In: endpoints, services, endpointslices. Out: endpointslices, one for each subset and address family, owned by the
Endpoints. `wanted_slices` and `changes` are pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import settings
from kubewheel.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, SLICES, TRIGGER
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations
from kubewheel.reconcile.ownership import controller_ref

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX = 1000  # endpoints taken from a subset


class Changes(NamedTuple):
    create: list[Object]
    update: list[Object]
    delete: list[Object]


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """Selectors have a controller of their own; records of leader elections are no endpoints."""
    if endpoints is None or service is None or service["spec"].get("selector") is not None:
        return False
    if objects.labels_of(endpoints).get(SKIP) == "true":
        return False
    return LEADER not in (endpoints["metadata"].get("annotations") or {})


def wanted_slices(endpoints: Object, limit: int) -> list[Object]:
    """Slices without names, at most `limit` addresses of each subset; subsets of equal ports share one."""
    groups: dict[tuple[str, bytes], Object] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{k: p[k] for k in ("name", "port", "protocol", "appProtocol") if k in p} for p in subset.get("ports") or ()]
        for port in ports:
            port.setdefault("name", "")
        told = [(a, True) for a in subset.get("addresses") or ()] + [(a, False) for a in subset.get("notReadyAddresses") or ()]
        for address, ready in told[:limit]:
            family = _family(address.get("ip", ""))
            if family:
                key = family, objects.canonical(ports)
                found = groups.setdefault(key, _slice(endpoints, family, ports))
                found["endpoints"].append(_endpoint(address, ready))
    return list(groups.values())


def _family(ip: str) -> str:
    try:
        return "IPv6" if ipaddress.ip_address(ip).version == 6 else "IPv4"
    except ValueError:
        return ""


def _endpoint(address: Object, ready: bool) -> Object:
    out: Object = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return out | {key: address[key] for key in ("hostname", "nodeName", "targetRef") if address.get(key)}


def _slice(endpoints: Object, family: str, ports: list[Object]) -> Object:
    meta = endpoints["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in (TRIGGER, LAST_APPLIED)}
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{meta['name']}-", "namespace": meta["namespace"],
            "labels": {**objects.labels_of(endpoints), SERVICE_NAME: meta["name"], MANAGED_BY: MANAGER},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [controller_ref(endpoints, "v1", "Endpoints")]},
        "addressType": family, "endpoints": [], "ports": ports}


def changes(wanted: Sequence[Object], existing: Sequence[Object]) -> Changes:
    """A slice of the same family and ports is kept and filled anew; one that is the same is left alone."""
    free: dict[tuple[str, bytes], list[Object]] = {}
    for one in existing:
        free.setdefault((one["addressType"], objects.canonical(one.get("ports") or [])), []).append(one)
    out = Changes([], [], [])
    for new in wanted:
        mine = free.get((new["addressType"], objects.canonical(new["ports"])))
        if not mine:
            out.create.append(new)
            continue
        old = mine.pop()
        fresh = codec.copy(old)
        fresh["endpoints"] = new["endpoints"]
        fresh["metadata"]["labels"] = new["metadata"]["labels"]
        kept = {k: v for k, v in (old["metadata"].get("annotations") or {}).items() if k == TRIGGER}
        fresh["metadata"]["annotations"] = kept | new["metadata"].get("annotations", {})
        if not fresh["metadata"]["annotations"]:
            del fresh["metadata"]["annotations"]
        if fresh != old:
            out.update.append(fresh)
    out.delete.extend(one for left in free.values() for one in left)
    return out


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    expectations: Expectations = context.state
    endpoints = context.cache("endpoints").get(namespace, name)
    service = context.cache("services").get(namespace, name)
    if not expectations.satisfied(key, context.cache(SLICES)):
        return 1.0
    mine = [s for s in context.cache(SLICES).by_index("mirrored", key)]
    wanted: list[Object] = []
    if endpoints is not None and is_mirrored(endpoints, service) and "deletionTimestamp" not in endpoints["metadata"]:
        limit = int(settings.get(context, "mirroring-max-endpoints-per-subset", MAX))
        wanted = wanted_slices(objects.with_kind(endpoints, "v1", "Endpoints"), limit)
    todo = changes(wanted, mine)
    trigger = ((endpoints or {}).get("metadata", {}).get("annotations") or {}).get(TRIGGER)
    for verb, objs in zip(("create", "update", "delete"), todo, strict=True):
        for obj in objs:
            if trigger and verb != "delete":
                obj["metadata"].setdefault("annotations", {})[TRIGGER] = trigger
            await _write(context, endpoints, key, verb, obj)
    if endpoints is None:
        expectations.forget(key)
    return None


async def _write(context: Context, endpoints: Object | None, key: str, verb: str, obj: Object) -> None:
    client, expectations = context.client, context.state
    try:
        if verb == "delete":
            await client.delete(SLICES, obj["metadata"]["name"], namespace=obj["metadata"]["namespace"])
            expectations.deleted(key, obj)
        else:
            expectations.wrote(key, await (client.create if verb == "create" else client.update)(SLICES, obj))
    except errors.StatusError as e:
        if runner.is_terminating(e) or (verb == "delete" and e.code == 404):
            return
        if e.code != 409 and endpoints is not None:
            context.events.event(objects.with_kind(endpoints, "v1", "Endpoints"), "Warning",
                                 f"FailedTo{verb.capitalize()}EndpointSlices",
                                 f"Failed to {verb} EndpointSlices for Endpoints {key}: {e.message}")
        raise


def setup(context: Context) -> Expectations:
    context.cache(SLICES).add_index("mirrored", _mirror_of)
    return Expectations()


def _mirror_of(obj: Object) -> Iterable[str]:
    labels = objects.labels_of(obj)
    if labels.get(MANAGED_BY) == MANAGER and labels.get(SERVICE_NAME):
        yield f"{obj['metadata']['namespace']}/{labels[SERVICE_NAME]}"


def _of_slice(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    for obj in (old, new):
        if obj is not None:
            yield from _mirror_of(obj)


CONTROLLER = Controller(
    name="endpointslice-mirroring-controller", events_as="endpoint-slice-mirroring-controller",
    reconcile=reconcile,
    setup=setup,
    watches=(Watch("endpoints", own_key), Watch("services", own_key), Watch(SLICES, _of_slice)),
    rules=(
        rule("", "endpoints services", READ),
        rule("", "endpoints/finalizers services/finalizers", "update"),
        rule("discovery.k8s.io", "endpointslices", READ + " create update delete"),
        events(),
    ),
)
