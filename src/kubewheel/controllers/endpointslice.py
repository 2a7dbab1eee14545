"""EndpointSlices of Services with a selector: at most 100 endpoints each, grouped by address type and ports.

In: services, pods, nodes. Out: endpointslices. `endpoint_of` and `pack` are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import endpoint_ports as members
from kubewheel.controllers import settings
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key
from kubewheel.reconcile.expectations import Expectations
from kubewheel.reconcile.ownership import controller_ref

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
ZONE = "topology.kubernetes.io/zone"
RESERVED = frozenset((MANAGED_BY, SERVICE_NAME, members.HEADLESS))


def endpoint_of(service: Object, pod: Object, node: Object | None, family: str) -> Object | None:
    """One Endpoint, or None where the pod has no address of the family."""
    ip = members.address(pod, family)
    if ip is None or not members.is_member(pod, terminating=True):
        return None
    serving, terminating = objects.is_ready(pod), objects.is_terminating(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    out: Object = {
        "addresses": [ip],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }
    if name := pod["spec"].get("nodeName"):
        out["nodeName"] = name
    zone = objects.labels_of(node).get(ZONE) if node is not None else None
    if zone:
        out["zone"] = zone
    if hostname := members.hostname(pod, service):
        out["hostname"] = hostname
    hints = _hints(service, out)
    if hints and ready:
        out["hints"] = hints
    return out


def _hints(service: Object, endpoint: Object) -> Object:
    """spec.trafficDistribution (PreferSameZone, formerly PreferClose; PreferSameNode)."""
    wanted = service["spec"].get("trafficDistribution", "")
    hints: Object = {}
    if wanted in ("PreferClose", "PreferSameZone", "PreferSameNode") and endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if wanted == "PreferSameNode" and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


@dataclass(slots=True)
class Changes:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def pack(
    service: Object,
    family: str,
    wanted: Sequence[tuple[list[Object], Object]],
    existing: Sequence[Object],
    *,
    limit: int = 100,
) -> Changes:
    """`wanted` is (ports, endpoint) pairs. Existing slices are kept and filled; few writes rather than
    full slices."""
    groups: dict[bytes, tuple[list[Object], dict[str, Object]]] = {}
    for ports, endpoint in wanted:
        groups.setdefault(objects.canonical(ports), (ports, {}))[1][endpoint["targetRef"]["uid"]] = endpoint
    if not groups:
        groups[b""] = ([], {})  # one empty slice says: known, and nothing there
    labels = labels_of(service)
    changes = Changes()
    by_ports: dict[bytes, list[Object]] = {}
    for one in existing:
        by_ports.setdefault(objects.canonical(one.get("ports") or []), []).append(one)
    for hash_, (ports, endpoints) in groups.items():
        mine = (
            by_ports.pop(objects.canonical(ports), [])
            if hash_ != b""
            else by_ports.pop(objects.canonical([]), [])
        )
        _pack_group(changes, service, family, ports, endpoints, mine, labels, limit)
    for left in by_ports.values():
        changes.delete += left
    _reuse(changes)
    return changes


def _pack_group(
    changes: Changes,
    service: Object,
    family: str,
    ports: list[Object],
    endpoints: dict[str, Object],
    mine: list[Object],
    labels: dict[str, str],
    limit: int,
) -> None:
    left = dict(endpoints)
    kept: list[tuple[Object, list[Object]]] = []
    for one in mine:
        stay = []
        for e in one.get("endpoints") or ():
            fresh = left.pop((e.get("targetRef") or {}).get("uid", ""), None)
            if fresh is not None:
                stay.append(fresh)
        kept.append((one, stay))
    # What is new goes first where something is written anyway, fullest first.
    rest = list(left.values())
    for _, stay in sorted(kept, key=lambda k: (k[1] == (k[0].get("endpoints") or []), -len(k[1]))):
        if rest and len(stay) < limit:
            room = limit - len(stay)
            stay += rest[:room]
            del rest[:room]
    placeholder_needed = not endpoints
    for one, stay in kept:
        if not stay and not (placeholder_needed and one is kept[0][0]):
            changes.delete.append(one)
        elif stay != (one.get("endpoints") or []) or labels != objects.labels_of(one):
            new = codec.copy(one)
            new["endpoints"] = stay
            new["metadata"]["labels"] = dict(labels)
            changes.update.append(new)
    while rest or (placeholder_needed and not kept):
        changes.create.append(new_slice(service, family, ports, rest[:limit], labels))
        del rest[:limit]
        placeholder_needed = False


def _reuse(changes: Changes) -> None:
    """A slice to delete becomes one to create: one write instead of two."""
    while changes.create and changes.delete:
        new, old = changes.create.pop(), codec.copy(changes.delete.pop())
        for name in ("endpoints", "ports"):
            old[name] = new.get(name)
        old["metadata"]["labels"] = new["metadata"]["labels"]
        changes.update.append(old)


def labels_of(service: Object) -> dict[str, str]:
    labels = {k: v for k, v in objects.labels_of(service).items() if k not in RESERVED}
    if members.is_headless(service):
        labels[members.HEADLESS] = ""
    return labels | {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}


def new_slice(
    service: Object, family: str, ports: list[Object], endpoints: list[Object], labels: dict[str, str]
) -> Object:
    meta = service["metadata"]
    prefix = f"{meta['name']}-"
    out: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": prefix,
            "namespace": meta["namespace"],
            "labels": dict(labels),
            "ownerReferences": [controller_ref(service, "v1", "Service")],
        },
        "addressType": family,
        "endpoints": endpoints,
    }
    out["ports"] = ports or None
    if out["ports"] is None:
        del out["ports"]
    return out


async def reconcile(context: Context, key: str) -> float | None:
    namespace, name = split_key(key)
    expectations: Expectations = context.state
    service = context.cache("services").get(namespace, name)
    if service is None:
        expectations.forget(key)
        return None
    if (
        service["spec"].get("type") == "ExternalName"
        or not service["spec"].get("selector")
        or "deletionTimestamp" in service["metadata"]
    ):
        return None
    if not expectations.satisfied(key, context.cache(SLICES)):
        return 1.0
    mine = [
        s
        for s in context.cache(SLICES).by_index("service", key)
        if objects.labels_of(s).get(MANAGED_BY) == MANAGER
    ]
    pods = members.selected(context, service)
    families = members.families(service)
    limit = int(settings.get(context, "max-endpoints-per-slice", 100))
    trigger = members.trigger_time(service, pods)
    service = objects.with_kind(service, "v1", "Service")
    for one in mine:
        if one["addressType"] not in families:
            await _write(context, service, key, "delete", one, trigger)
    for family in families:
        wanted = []
        for pod in pods:
            node = context.cache("nodes").get(None, pod["spec"].get("nodeName", ""))
            endpoint = endpoint_of(service, pod, node, family)
            if endpoint is not None:
                wanted.append((members.ports_of(service, pod), endpoint))
        changes = pack(service, family, wanted, [s for s in mine if s["addressType"] == family], limit=limit)
        for verb, objs in (
            ("create", changes.create),
            ("update", changes.update),
            ("delete", changes.delete),
        ):
            for obj in objs:
                await _write(context, service, key, verb, obj, trigger)
    return None


async def _write(context: Context, service: Object, key: str, verb: str, obj: Object, trigger: str) -> None:
    client, expectations = context.client, context.state
    try:
        if verb == "delete":
            await client.delete(SLICES, obj["metadata"]["name"], namespace=obj["metadata"]["namespace"])
            expectations.deleted(key, obj)
            return
        obj["metadata"].setdefault("annotations", {})[TRIGGER] = trigger
        expectations.wrote(key, await (client.create if verb == "create" else client.update)(SLICES, obj))
    except errors.StatusError as e:
        if runner.is_terminating(e) or (verb == "delete" and e.code == 404):
            return
        if e.code != 409:
            context.events.event(
                service,
                "Warning",
                "FailedToUpdateEndpointSlices",
                f"Error updating Endpoint Slices for Service {key}: {e.message}",
            )
        raise


def setup(context: Context) -> Expectations:
    context.cache(SLICES).add_index("service", _service_of)
    return Expectations()


def _service_of(obj: Object) -> Iterable[str]:
    name = objects.labels_of(obj).get(SERVICE_NAME)
    if name:
        yield f"{obj['metadata']['namespace']}/{name}"


def _of_slice(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    for obj in (old, new):
        if obj is not None and objects.labels_of(obj).get(MANAGED_BY) == MANAGER:
            yield from _service_of(obj)


def _of_node(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """A node's zone changed, or the node came after its pods."""
    before: Any = objects.labels_of(old).get(ZONE) if old is not None else None
    after: Any = objects.labels_of(new).get(ZONE) if new is not None else None
    if before != after:
        for service in context.cache("services").list():
            yield objects.key_of(service)


CONTROLLER = Controller(
    name="endpointslice-controller", events_as="endpoint-slice-controller",
    reconcile=reconcile,
    setup=setup,
    watches=(
        Watch("services", own_key),
        Watch("pods", members.services_of_pod),
        Watch(SLICES, _of_slice),
        Watch("nodes", _of_node),
    ),
    rules=(
        rule("", "nodes pods services", READ),
        rule("", "services/finalizers", "update"),
        rule("discovery.k8s.io", "endpointslices", READ + " create update delete"),
        events(),
    ),
)
