"""Which pods stand behind a Service, and on which ports. Pure, shared by endpoints and endpointslice.

In: Service and Pod dicts. Out: addresses and ports.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubewheel.api.resource import Object
from kubewheel.reconcile import objects
from kubewheel.reconcile.controller import Context

HEADLESS = "service.kubernetes.io/headless"


def find_port(pod: Object, port: Object) -> int | None:
    """The number behind a ServicePort's targetPort in this pod; None where the name is not there."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or port["port"]
    protocol = port.get("protocol", "TCP")
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*(pod["spec"].get("containers") or ()), *sidecars):
        for p in container.get("ports") or ():
            if p.get("name") == target and p.get("protocol", "TCP") == protocol:
                return p["containerPort"]
    return None


def ports_of(service: Object, pod: Object) -> list[Object]:
    out = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is not None:
            one = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            if port.get("appProtocol"):
                one["appProtocol"] = port["appProtocol"]
            out.append(one)
    return out


def address(pod: Object, family: str) -> str | None:
    """The pod's address of "IPv4" or "IPv6"."""
    status = pod.get("status") or {}
    ips = [p["ip"] for p in status.get("podIPs") or ()] or ([status["podIP"]] if status.get("podIP") else [])
    return next((ip for ip in ips if (":" in ip) == (family == "IPv6")), None)


def families(service: Object) -> list[str]:
    given = service["spec"].get("ipFamilies")
    if given:
        return list(given)
    return ["IPv6"] if ":" in service["spec"].get("clusterIP", "") else ["IPv4"]


def is_headless(service: Object) -> bool:
    return service["spec"].get("clusterIP") == "None"


def is_member(pod: Object, *, terminating: bool) -> bool:
    status = pod.get("status") or {}
    if objects.is_finished(pod) or not (status.get("podIP") or status.get("podIPs")):
        return False
    return terminating or not objects.is_terminating(pod)


def hostname(pod: Object, service: Object) -> str:
    if pod["spec"].get("subdomain") == service["metadata"]["name"]:
        return pod["spec"].get("hostname", "")
    return ""


def selected(context: Context, service: Object) -> list[Object]:
    selector = service["spec"].get("selector") or {}
    return [
        p
        for p in context.cache("pods").list(service["metadata"]["namespace"])
        if selector.items() <= objects.labels_of(p).items()
    ]


def services_of_pod(old: Object | None, new: Object | None, context: Context) -> Iterable[str]:
    """Services whose membership or endpoint this change may touch."""
    if old is not None and new is not None and not _relevant(old, new):
        return
    namespace = ((new or old) or {})["metadata"]["namespace"]
    label_sets = [objects.labels_of(o) for o in (old, new) if o is not None]
    if len(label_sets) == 2 and label_sets[0] == label_sets[1]:
        del label_sets[0]
    for service in context.cache("services").list(namespace):
        selector = service["spec"].get("selector")
        if any(objects.matches_map(selector, labels) for labels in label_sets):
            yield objects.key_of(service)


def _relevant(old: Object, new: Object) -> bool:
    return _view(old) != _view(new)


def _view(pod: Object) -> tuple[object, ...]:
    status = pod.get("status") or {}
    return (
        objects.is_ready(pod),
        status.get("podIPs"),
        status.get("podIP"),
        status.get("phase"),
        pod["spec"].get("nodeName"),
        pod["spec"].get("hostname"),
        pod["spec"].get("subdomain"),
        objects.is_terminating(pod),
        objects.labels_of(pod),
    )


def trigger_time(service: Object, pods: Iterable[Object]) -> str:
    """endpoints.kubernetes.io/last-change-trigger-time: the latest of what we know caused the change."""
    stamps = [service["metadata"].get("creationTimestamp", "")]
    for pod in pods:
        ready = objects.condition(pod, "Ready")
        if ready is not None and ready.get("lastTransitionTime"):
            stamps.append(ready["lastTransitionTime"])
    return max(stamps)
