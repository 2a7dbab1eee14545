"""LimitRanger: a namespace's LimitRanges give containers defaults and keep pods and claims within bounds.

In: new pods and persistentvolumeclaims. Out: resources filled in, the kubernetes.io/limit-ranger annotation; 403.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubewheel.api import amounts, errors, quantity
from kubewheel.api.resource import Object
from kubewheel.apiserver.admission import pods
from kubewheel.apiserver.attributes import AdmissionPlugin, Attributes

ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(AdmissionPlugin):
    name = "LimitRanger"
    resources = frozenset({"pods", "persistentvolumeclaims"})
    subresources = frozenset({"", "resize"})

    async def mutate(self, attributes: Attributes) -> None:
        if not pods.is_pod_create(attributes) or attributes.obj is None:
            return
        for limit_range in await self._ranges(attributes.namespace):
            apply_defaults(attributes.obj, limit_range)

    async def validate(self, attributes: Attributes) -> None:
        if attributes.obj is None or not _concerns(attributes):
            return
        problems: list[str] = []
        for limit_range in await self._ranges(attributes.namespace):
            problems += check(attributes.obj, limit_range, pod=pods.is_pod(attributes))
        if problems:
            text = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
            raise errors.forbidden(attributes.resource.plural, attributes.name, text)

    async def _ranges(self, namespace: str) -> list[Object]:
        cache = self.context.caches.get("limitranges")
        await cache.wait_synced()
        return cache.list(namespace)


def _concerns(attributes: Attributes) -> bool:
    if pods.is_pod(attributes):
        return (attributes.operation == "CREATE" and not attributes.subresource) or (
            attributes.operation == "UPDATE" and attributes.subresource == "resize")
    return attributes.resource.plural == "persistentvolumeclaims" and not attributes.resource.group \
        and not attributes.subresource and attributes.operation in ("CREATE", "UPDATE")


# -- defaults ---------------------------------------------------------------------------------------------------------
def apply_defaults(pod: Object, limit_range: Object) -> None:
    """Fills in requests and limits of containers, in place, and notes what was done in an annotation."""
    limits: Object = {}
    requests: Object = {}
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            limits |= {k: str(v) for k, v in (item.get("default") or {}).items()}
            requests |= {k: str(v) for k, v in (item.get("defaultRequest") or {}).items()}
    if not limits and not requests:
        return
    notes: list[str] = []
    spec = pod.get("spec") or {}
    for kind, field in (("container", "containers"), ("init container", "initContainers")):
        for container in spec.get(field) or ():
            notes += _fill(container, kind, limits, requests)
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = annotations | {ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}


def _fill(container: Object, kind: str, limits: Object, requests: Object) -> Iterator[str]:
    resources = container.get("resources") or {}
    for field, title, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
        have = resources.get(field) or {}
        missing = {k: v for k, v in defaults.items() if k not in have}
        if missing:
            resources[field] = have | missing
            container["resources"] = resources
            yield f"{', '.join(sorted(missing))} {title} for {kind} {container['name']}"


# -- bounds -----------------------------------------------------------------------------------------------------------
def check(obj: Object, limit_range: Object, *, pod: bool) -> list[str]:
    """What of the object is out of the range's bounds, in upstream's words."""
    out: list[str] = []
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        kind = item.get("type")
        if pod and kind == "Container":
            for container in pods.containers(obj.get("spec") or {}):
                resources = container.get("resources") or {}
                out += _bounds(item, kind, resources.get("requests") or {}, resources.get("limits") or {})
        elif pod and kind == "Pod":
            out += _bounds(item, kind, _total(obj, "requests"), _total(obj, "limits"))
        elif not pod and kind == "PersistentVolumeClaim":
            resources = (obj.get("spec") or {}).get("resources") or {}
            out += _bounds(item, kind, resources.get("requests") or {}, resources.get("requests") or {}, claim=True)
    return out


def _total(pod: Object, field: str) -> Object:
    from kubewheel.api import quota as usage

    return {k: str(v) for k, v in usage.pod_resources(pod, field).items()}


def _bounds(item: Object, kind: str, requests: Object, limits: Object, *, claim: bool = False) -> Iterator[str]:
    for name, bound in (item.get("min") or {}).items():
        yield from _minimum(kind, name, amounts.parse(bound), requests.get(name), limits.get(name), claim)
    for name, bound in (item.get("max") or {}).items():
        yield from _maximum(kind, name, amounts.parse(bound), requests.get(name), limits.get(name), claim)
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _ratio(kind, name, amounts.parse(bound), requests.get(name), limits.get(name))


def _minimum(kind: str, name: str, bound: amounts.Amount, request: object, limit: object, claim: bool) -> Iterable[str]:
    if request is None:
        yield f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    elif amounts.parse(request) < bound:
        yield f"minimum {name} usage per {kind} is {bound}, but request is {amounts.parse(request)}"
    elif limit is not None and amounts.parse(limit) < bound and not claim:
        yield f"minimum {name} usage per {kind} is {bound}, but limit is {amounts.parse(limit)}"


def _maximum(kind: str, name: str, bound: amounts.Amount, request: object, limit: object, claim: bool) -> Iterable[str]:
    if claim:
        if request is not None and amounts.parse(request) > bound:
            yield f"maximum {name} usage per {kind} is {bound}, but request is {amounts.parse(request)}"
        return
    if limit is None:
        yield f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    elif amounts.parse(limit) > bound:
        yield f"maximum {name} usage per {kind} is {bound}, but limit is {amounts.parse(limit)}"
    elif request is not None and amounts.parse(request) > bound:
        yield f"maximum {name} usage per {kind} is {bound}, but request is {amounts.parse(request)}"


def _ratio(kind: str, name: str, bound: amounts.Amount, request: object, limit: object) -> Iterable[str]:
    if request is None or amounts.parse(request) == amounts.ZERO:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no request is specified or request is 0"
    elif limit is None or amounts.parse(limit) == amounts.ZERO:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no limit is specified or limit is 0"
    else:
        ratio = amounts.parse(limit).nano / amounts.parse(request).nano
        if ratio * quantity.NANO > bound.nano:
            yield (f"{name} max limit to request ratio per {kind} is {bound}, but provided ratio is "
                   f"{ratio:.6f}")
