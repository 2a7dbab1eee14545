"""Rules of resource names, amounts, and requests and limits.

In: resource names, quantities, ResourceRequirements dicts. Out: FieldError lists.
Called by: container_validation.py, pod_spec_validation.py, limitrange.py, resourcequota.py, node.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kubewheel.api import errors, names, quantity, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.validation import check

Spec = Mapping[str, Any]
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_OBJECTS = ("pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "persistentvolumeclaims",
            "configmaps", "services.nodeports", "services.loadbalancers")
_QUOTA = {*_COMPUTE, "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
          "limits.memory", "limits.ephemeral-storage", *_OBJECTS}
_STANDARD = {*_QUOTA, "storage"}
_POD_LEVEL = ("cpu", "memory")


def is_huge_page(name: str) -> bool:
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    """Without a prefix, or of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith("requests.") and not names.qualified(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def is_quota_name(name: str) -> bool:
    return name in _QUOTA or name.startswith(("hugepages-", "requests.hugepages-"))


def resource_name(name: str, path: str) -> list[FieldError]:
    """Any resource: a known word, or qualified."""
    if found := names.qualified(name):
        return check(path, name, found)
    if "/" not in name and name not in _STANDARD and not name.startswith(("hugepages-", "requests.hugepages-")):
        return [errors.field_invalid(path, name, "must be a standard resource type or fully qualified")]
    return []


def container_resource_name(name: str, path: str) -> list[FieldError]:
    out = resource_name(name, path)
    if "/" not in name:
        if name not in _COMPUTE and not is_huge_page(name):
            out.append(errors.field_invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        out.append(errors.field_invalid(path, name, "doesn't follow extended resource name standard"))
    return out


def pod_resource_name(name: str, path: str) -> list[FieldError]:
    if out := resource_name(name, path):
        return out
    if name not in _POD_LEVEL and not is_huge_page(name):
        return [errors.field_not_supported(path, name, _POD_LEVEL)]
    return []


def quota_resource_name(name: str, path: str) -> list[FieldError]:
    out = resource_name(name, path)
    if "/" not in name and not is_quota_name(name):
        out.append(errors.field_invalid(path, name, "must be a standard resource for quota"))
    return out


def amount(name: str, value: Any, path: str) -> list[FieldError]:
    """Not negative, and whole where parts make no sense."""
    if not quantity.is_valid(value):
        return [errors.field_invalid(path, value, quantity.FORMAT_ERROR)]
    out: list[FieldError] = []
    if quantity.nano(value) < 0:
        out.append(errors.field_invalid(path, quantity.canonical(value), validation.NEGATIVE))
    if (name in _OBJECTS or is_extended(name)) and quantity.milli(value) % 1000:
        out.append(errors.field_invalid(path, quantity.canonical(value), "must be an integer"))
    return out


def requirements(r: Spec, path: str, claims: Collection[str] = (), *, pod_level: bool = False) -> list[FieldError]:
    """`claims`: the names in the pod's spec.resourceClaims."""
    out: list[FieldError] = []
    name_rule = pod_resource_name if pod_level else container_resource_name
    requests, limits = r.get("requests") or {}, r.get("limits") or {}
    for name, value in limits.items():
        where = f"{path}.limits[{name}]"
        out += name_rule(name, where) + amount(name, value, where) + _huge_page(name, value, where)
    for name, value in requests.items():
        where = f"{path}.requests[{name}]"
        out += name_rule(name, where) + amount(name, value, where)
        if quantity.is_valid(value):
            out += _against_limit(name, value, limits, path)
        out += _huge_page(name, value, where)
    every = {*requests, *limits}
    if any(map(is_huge_page, every)) and not every & {"cpu", "memory"}:
        out.append(errors.field_forbidden(path, "HugePages require cpu or memory"))
    return out + _claims(r.get("claims") or (), claims, f"{path}.claims")


def _against_limit(name: str, value: Any, limits: Spec, path: str) -> list[FieldError]:
    if name not in limits:
        if may_overcommit(name):
            return []
        return [errors.field_required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
    limit = limits[name]
    order = quantity.compare(value, limit) if quantity.is_valid(limit) else 0
    if order and not may_overcommit(name):
        word = "equal to"
    elif order > 0:
        word = "less than or equal to"
    else:
        return []
    return [errors.field_invalid(f"{path}.requests", quantity.canonical(value),
                                 f"must be {word} {name} limit of {quantity.canonical(limit)}")]


def _huge_page(name: str, value: Any, path: str) -> list[FieldError]:
    if not is_huge_page(name):
        return []
    size = name.removeprefix("hugepages-")
    if quantity.is_valid(size) and quantity.nano(size) > 0 and quantity.is_valid(value) and (
            quantity.nano(value) >= 0 and quantity.nano(value) % quantity.nano(size) == 0):
        return []
    shown = quantity.canonical(value) if quantity.is_valid(value) else str(value)
    return [errors.field_invalid(path, shown, f"{shown} is not positive integer multiple of {name}")]


def _claims(items: Any, known: Collection[str], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, claim in enumerate(items):
        where, name, request = f"{path}[{i}]", claim.get("name") or "", claim.get("request") or ""
        if not name:
            out.append(errors.field_required(where))
            continue
        if name in seen:
            out.append(errors.field_duplicate(where, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                out += check(f"{where}.request", request, names.label(request))
            if key in seen:
                out.append(errors.field_duplicate(where, key))
            elif not request and any(k.startswith(name + "/") for k in seen):
                out.append(errors.field_duplicate(where, name))
            seen.add(key)
        if name not in known:
            rest = ": " + ", ".join(sorted(known)) if known else " which is empty"
            out.append(errors.field_not_found(where, name,
                                              f"must be one of the names in pod.spec.resourceClaims{rest}"))
    return out
