"""Which webhooks look at a request, and the AdmissionReview they are sent. Pure.

In: a webhook of a configuration, Attributes, labels. Out: Invocation or None; review dicts. Called by: webhook.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubewheel.api import selectors
from kubewheel.api.resource import Object, Resource
from kubewheel.apiserver.attributes import Attributes

GROUP = "admissionregistration.k8s.io"
# writes to these are never shown to webhooks: a bad webhook could not be taken away any more
EXEMPT = {"mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies",
          "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """A webhook to call, and the version of the resource it asked for (matchPolicy Equivalent)."""

    hook: Object
    resource: Resource


def is_exempt(attributes: Attributes) -> bool:
    return attributes.resource.group == GROUP and attributes.resource.plural in EXEMPT


def select(hook: Object, attributes: Attributes, versions: Iterable[Resource], namespace_labels: dict[str, str] | None,
           ) -> Invocation | None:
    """The invocation if rules and selectors match. `versions`: the resource's served versions, the request's first;
    `namespace_labels` None: no namespace to look at (cluster-scoped)."""
    exact = hook.get("matchPolicy", "Equivalent") == "Exact"
    found = next((version for version in list(versions)[:1 if exact else None]
                  if any(_rule_matches(rule, attributes, version) for rule in hook.get("rules") or ())), None)
    if found is None:
        return None
    if namespace_labels is not None and not _selects(hook.get("namespaceSelector"), namespace_labels):
        return None
    selector = hook.get("objectSelector")
    if selector and not any(_selects(selector, _labels(o)) for o in _objects(attributes)):
        return None
    return Invocation(hook, found)


def _objects(attributes: Attributes) -> list[Object]:
    """What objectSelector is held against. A Scale bears none of the labels of what it scales."""
    held = [o for o in (attributes.obj, attributes.old) if o is not None]
    return [{} for _ in held] if attributes.subresource == "scale" else held


def _labels(obj: Object) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def _selects(selector: Object | None, labels: dict[str, str]) -> bool:
    return selectors.from_label_selector(selector or {}).matches(labels)


def _rule_matches(rule: Object, attributes: Attributes, resource: Resource) -> bool:
    def has(values: Iterable[str], value: str) -> bool:
        values = list(values)
        return "*" in values or value in values

    scope = rule.get("scope", "*")
    namespaced = resource.namespaced and bool(attributes.namespace) and attributes.resource.plural != "namespaces"
    if scope == "Namespaced" and not namespaced or scope == "Cluster" and namespaced:
        return False
    return (has(rule.get("operations") or (), attributes.operation)
            and has(rule.get("apiGroups") or (), resource.group)
            and has(rule.get("apiVersions") or (), resource.version)
            and any(_resource_matches(r, resource.plural, attributes.subresource) for r in rule.get("resources") or ()))


def _resource_matches(pattern: str, plural: str, subresource: str) -> bool:
    wanted, _, sub = pattern.partition("/")
    return wanted in ("*", plural) and (sub == "*" or sub == subresource)


def namespace_labels(attributes: Attributes, namespace: Object | None) -> dict[str, str] | None:
    """The labels namespaceSelector is held against: a Namespace's own, or those of the object's namespace."""
    if attributes.resource.plural == "namespaces" and not attributes.resource.group:
        own = attributes.obj if attributes.obj is not None and attributes.operation != "CONNECT" else attributes.old
        return _labels(own or {})
    if not attributes.namespace:
        return None
    return _labels(namespace or {})


def review(invocation: Invocation, attributes: Attributes, *, uid: str, obj: Object | None, old: Object | None,
           request_resource: Resource) -> Object:
    """The AdmissionReview (v1) request body."""
    resource = invocation.resource
    kind = _kind_of(resource, attributes, obj)
    request: Object = {
        "uid": uid, "kind": kind, "resource": _gvr(resource), "requestKind": _kind_of(request_resource, attributes, obj),
        "requestResource": _gvr(request_resource), "operation": attributes.operation, "userInfo": _user(attributes),
        "object": obj, "oldObject": old, "dryRun": attributes.dry_run, "options": _options(attributes),
    }
    if attributes.name and not attributes.is_name_generated:
        request["name"] = attributes.name
    if attributes.namespace:
        request["namespace"] = attributes.namespace
    if attributes.subresource:
        request["subResource"] = request["requestSubResource"] = attributes.subresource
    version = next((v for v in invocation.hook.get("admissionReviewVersions") or () if v in ("v1", "v1beta1")), "v1")
    return {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": request}


def _gvr(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def _kind_of(resource: Resource, attributes: Attributes, obj: Object | None) -> Object:
    if attributes.subresource == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    if attributes.subresource and attributes.operation == "CONNECT" and obj is not None:
        group, _, version = str(obj.get("apiVersion", "v1")).rpartition("/")
        return {"group": group, "version": version, "kind": obj.get("kind", "")}
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _user(attributes: Attributes) -> Object:
    user = attributes.user
    out: Object = {"username": user.name}
    if user.uid:
        out["uid"] = user.uid
    if user.groups:
        out["groups"] = list(user.groups)
    if user.extra:
        out["extra"] = user.extra
    return out


_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def _options(attributes: Attributes) -> Any:
    kind = _OPTIONS.get(attributes.operation)
    if kind is None:
        return None
    return {"kind": kind, "apiVersion": "meta.k8s.io/v1"} | {
        k: v for k, v in attributes.options.items() if k not in ("kind", "apiVersion")}
