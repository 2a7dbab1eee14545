"""Endpoints of Services with a selector (the old API, still read by some).

In: services, pods. Out: endpoints. `subsets` is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubewheel.api import codec, errors
from kubewheel.api.resource import Object
from kubewheel.controllers import endpoint_ports as members
from kubewheel.controllers.rules import READ, events, rule
from kubewheel.reconcile import objects, runner
from kubewheel.reconcile.controller import Context, Controller, Watch, own_key, split_key

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
OVER = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MAX = 1000


def subsets(service: Object, pods: Sequence[Object]) -> list[Object]:
    """Addresses grouped by equal ports, sorted as upstream repacks them."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    family = members.families(service)[0]
    groups: dict[bytes, tuple[list[Object], dict[str, tuple[Object, bool]]]] = {}
    for pod in pods:
        ip = members.address(pod, family)
        if ip is None or not members.is_member(pod, terminating=publish):
            continue
        ports = members.ports_of(service, pod)
        if not ports and service["spec"].get("ports"):
            continue
        one: Object = {"ip": ip}
        if name := members.hostname(pod, service):
            one["hostname"] = name
        if node := pod["spec"].get("nodeName"):
            one["nodeName"] = node
        one["targetRef"] = {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
        group = groups.setdefault(objects.canonical(ports), (ports, {}))
        group[1][pod["metadata"]["uid"]] = (one, publish or objects.is_ready(pod))
    out = []
    for ports, found in groups.values():
        subset: Object = {}
        for name, wanted in (("addresses", True), ("notReadyAddresses", False)):
            chosen = sorted(
                (a for a, ready in found.values() if ready is wanted),
                key=lambda a: (a["ip"], a["targetRef"]["uid"]),
            )
            if chosen:
                subset[name] = chosen
        if ports:
            subset["ports"] = [
                _port(p) for p in sorted(ports, key=lambda p: (p["name"], p["port"], p["protocol"]))
            ]
        out.append(subset)
    return sorted(out, key=objects.canonical)


def _port(port: Object) -> Object:
    return {k: v for k, v in port.items() if k != "name" or v}


def truncate(found: list[Object]) -> tuple[list[Object], bool]:
    """At most 1000 addresses, ready ones first."""
    total = sum(len(s.get(k, ())) for s in found for k in ("addresses", "notReadyAddresses"))
    if total <= MAX:
        return found, False
    room, out = MAX, [dict(s) for s in found]
    for name in ("addresses", "notReadyAddresses"):
        for subset in out:
            kept = subset.pop(name, [])[:room]
            room -= len(kept)
            if kept:
                subset[name] = kept
    return [s for s in out if "addresses" in s or "notReadyAddresses" in s], True


async def reconcile(context: Context, key: str) -> None:
    namespace, name = split_key(key)
    service = context.cache("services").get(namespace, name)
    if service is None:
        await _delete(context, namespace, name)
        return
    if service["spec"].get("type") == "ExternalName" or not service["spec"].get("selector"):
        return
    pods = members.selected(context, service)
    found, over = truncate(subsets(service, pods))
    old = context.cache("endpoints").get(namespace, name)
    new = desired(service, old, found, over)
    if old is not None and _same(old, new):
        return
    new["metadata"]["annotations"][TRIGGER] = members.trigger_time(service, pods)
    try:
        if old is None:
            await context.client.create("endpoints", new)
        else:
            await context.client.update("endpoints", new)
    except errors.StatusError as e:
        if not runner.is_terminating(e) and e.code != 409:
            target = {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {"name": name, "namespace": namespace},
            }
            word = "create" if old is None else "update"
            context.events.event(
                target,
                "Warning",
                f"FailedTo{word.capitalize()}Endpoint",
                f"Failed to {word} endpoint for service {key}: {e.message}",
            )
        if not runner.is_terminating(e):
            raise


def desired(service: Object, old: Object | None, found: list[Object], over: bool) -> Object:
    new: Object = (
        codec.copy(old)
        if old is not None
        else {
            "metadata": {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
        }
    )
    new |= {"apiVersion": "v1", "kind": "Endpoints"}
    new["subsets"] = found
    labels = dict(objects.labels_of(service))
    labels[MANAGED_BY] = "endpoint-controller"
    labels.pop(members.HEADLESS, None)
    if members.is_headless(service):
        labels[members.HEADLESS] = ""
    new["metadata"]["labels"] = labels
    annotations = new["metadata"].setdefault("annotations", {})
    annotations.pop(OVER, None)
    if over:
        annotations[OVER] = "truncated"
    return new


def _same(old: Object, new: Object) -> bool:
    def view(o: Object) -> Any:
        kept = {k: v for k, v in objects.annotations_of(o).items() if k == OVER}
        return o.get("subsets") or [], objects.labels_of(o), kept

    return view(old) == view(new)


async def _delete(context: Context, namespace: str, name: str) -> None:
    found = context.cache("endpoints").get(namespace, name)
    # Only what we made: a Service-less Endpoints (a lease of another program) is not ours to end.
    if found is None or MANAGED_BY not in objects.labels_of(found):
        return
    try:
        await context.client.delete("endpoints", name, namespace=namespace, uid=found["metadata"]["uid"])
    except errors.StatusError as e:
        if e.code != 404:
            raise


def _gone(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    obj = new or old
    if obj is not None and (
        new is None or context.cache("services").get(obj["metadata"]["namespace"], obj["metadata"]["name"])
    ):
        yield objects.key_of(obj)


CONTROLLER = Controller(
    name="endpoints-controller", events_as="endpoint-controller",
    reconcile=reconcile,
    watches=(Watch("services", own_key), Watch("pods", members.services_of_pod), Watch("endpoints", _gone)),
    rules=(
        rule("", "services pods", READ),
        rule("", "endpoints", READ + " create update delete"),
        rule("", "endpoints/restricted", "create"),
        events(),
    ),
)
