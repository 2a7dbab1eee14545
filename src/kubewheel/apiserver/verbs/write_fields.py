"""managedFields of a write: who wrote, by which endpoint, and what that endpoint leaves to others.

In: a Call and objects. Out: managed.Endpoint; entries put into the new object. Called by: write_create.py, write_update.py,
apply.py, scale.py. What endpoints reset is upstream's GetResetFields of each strategy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from kubewheel.api import codec
from kubewheel.api.merge import fields, managed
from kubewheel.api.resource import Object, Resource, ScalePaths
from kubewheel.api.validation import MAX_MANAGER
from kubewheel.apiserver import results
from kubewheel.apiserver.call import Call

SPEC, STATUS, METADATA = ("spec",), ("status",), ("metadata",)
# By resource: what the status endpoint resets beside the spec.
_STATUS_RESETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "pods": (("metadata", "deletionTimestamp"), ("metadata", "ownerReferences")),
    "deployments.apps": (("metadata", "labels"),),
    **dict.fromkeys((
        "apiservices.apiregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
        "devicetaintrules.resource.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "resourceclaims.resource.k8s.io",
        "storageversionmigrations.storagemigration.k8s.io", "validatingadmissionpolicies.admissionregistration.k8s.io",
        "volumeattachments.storage.k8s.io"), (METADATA,)),
}
_RESIZED: fields.FieldSet = {"*": {"f:resources": {}, "f:resizePolicy": {}}}
# Endpoints that keep only a part.
_KEPT: dict[tuple[str, str], fields.FieldSet] = {
    ("pods", "ephemeralcontainers"): {"f:spec": {"f:ephemeralContainers": {}}},
    ("pods", "resize"): {"f:spec": {"f:containers": _RESIZED, "f:initContainers": _RESIZED, "f:resources": {}}},
}


def endpoint(call: Call, subresource: str = "") -> managed.Endpoint:
    resource, sub = call.resource, call.sub
    has_status = any(s.name == "status" for s in resource.subresources)
    return managed.Endpoint(
        resource.node(), resource.api_version, subresource or (sub.name if sub is not None else ""),
        _filter(resource.qualified, sub.name if sub is not None else "", has_status, resource.custom is not None),
        lambda api_version: _version(call, api_version))


@cache
def _filter(qualified: str, sub: str, has_status: bool, is_custom: bool) -> managed.Filter | None:
    if (kept := _KEPT.get((qualified, sub))) is not None:
        return lambda fieldset: fields.include(fieldset, kept)
    if sub == "status":
        paths = (SPEC, *((METADATA,) if is_custom else _STATUS_RESETS.get(qualified, ())))
    elif sub == "approval":
        paths = (SPEC, ("status", "certificate"))
    else:
        paths = (STATUS,) if has_status else ()
    if not paths:
        return None
    reset = fields.of_paths(paths)
    return lambda fieldset: fields.exclude(fieldset, reset)


def _version(call: Call, api_version: str) -> managed.Version | None:
    """The call's kind as served in another version (of another group even: events)."""
    resource = call.resource
    hub = call.server.registry.hub_of(resource)
    for other in call.server.registry.all():
        if other.registry == hub.registry and other.api_version == api_version and other.verbs and other.kind == hub.kind:
            return managed.Version(other.node(), _between(resource, hub, other), _between(other, hub, resource))
    return None


def _between(one: Resource, hub: Resource, other: Resource) -> Callable[[Object], Object]:
    if one.custom is not None:  # conversion webhooks are not asked here: fields keep their names
        return lambda obj: {**obj, "apiVersion": other.api_version}
    return lambda obj: results.view(other, results.to_hub(one, hub, codec.copy(obj)))


def manager_of(call: Call) -> str:
    """fieldManager, or what is printable of the user agent up to the first slash (upstream's managerOrUserAgent)."""
    named = call.request.first("fieldManager")
    if named:
        return named
    return _of_agent(call.request.headers.get("user-agent", ""))


@lru_cache(256)
def _of_agent(agent: str) -> str:
    name = "".join(c for c in agent.partition("/")[0] if c.isprintable())
    return name.encode()[:MAX_MANAGER].decode(errors="ignore") or "unknown"


def track(call: Call, old: Object | None, new: Object, *, subresource: str = "") -> None:
    """managedFields of a plain write, in place."""
    if subresource == "scale" and old is not None and not _is_scaled(call, old):
        new["metadata"]["managedFields"] = old["metadata"].get("managedFields") or []
        return  # as a Scale it has no managers, and nothing is tracked of what has none
    entries = managed.updated(
        endpoint(call, subresource), old, new, manager=manager_of(call), now=call.server.clock.now())
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)


def _is_scaled(call: Call, obj: Object) -> bool:
    """Whether anybody owns the number of replicas."""
    path = (call.resource.scale or ScalePaths()).spec_replicas
    return any(fields.has(e.get("fieldsV1") or {}, path) for e in obj["metadata"].get("managedFields") or ())
