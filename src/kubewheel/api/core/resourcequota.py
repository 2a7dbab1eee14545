"""resourcequotas.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, subresources, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import resource_validation
from kubewheel.api.resource import Column, Object, PrepareContext, Resource


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj["status"] = {}
    obj.setdefault("spec", {})


_POD_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "PriorityClass",
               "CrossNamespacePodAffinity")
_SCOPES = (*_POD_SCOPES, "VolumeAttributesClass")
_EXISTS_ONLY = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_PAIRS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_POD_RESOURCES = ("cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory",
                  "ephemeral-storage", "limits.ephemeral-storage", "requests.ephemeral-storage", "pods")


def _amounts(obj: Object, *path: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    for name, amount in (dig(obj, *path) or {}).items():
        where = f"{'.'.join(path)}[{name}]"
        out += resource_validation.quota_resource_name(name, where) + resource_validation.amount(name, amount, where)
    return out


def _fits(scope: str, name: str) -> bool:
    """Whether the scope can say something of the resource (IsResourceQuotaScopeValidForResource)."""
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return name in _POD_RESOURCES


def _scopes(spec: Object) -> list[errors.FieldError]:
    scopes, out = spec.get("scopes") or [], []
    hard = [n for n in sorted(spec.get("hard") or {}) if resource_validation.is_quota_name(n)]
    for scope in scopes:
        if scope not in _SCOPES:
            out.append(errors.field_invalid("spec.scopes", scopes, "unsupported scope"))
        out += [errors.field_invalid("spec.scopes", scopes, "unsupported scope applied to resource")
                for name in hard if not _fits(scope, name)]
    return out + [errors.field_invalid("spec.scopes", scopes, "conflicting scopes")
                  for pair in _PAIRS if pair <= set(scopes)]


def _selector(spec: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    path, selector = "spec.scopeSelector.matchExpressions", spec.get("scopeSelector") or {}
    hard = [n for n in sorted(spec.get("hard") or {}) if resource_validation.is_quota_name(n)]
    for e in selector.get("matchExpressions") or ():
        scope, operator, values = e.get("scopeName") or "", e.get("operator") or "", e.get("values")
        if scope not in _SCOPES:
            out.append(errors.field_invalid(f"{path}.scopeName", scope, "unsupported scope"))
        out += [errors.field_invalid(path, selector, "unsupported scope applied to resource")
                for name in hard if not _fits(scope, name)]
        if scope in _EXISTS_ONLY and operator != "Exists":
            out.append(errors.field_invalid(f"{path}.operator", operator, (
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
                "ResourceQuotaScopeCrossNamespacePodAffinity")))
        if operator in ("In", "NotIn"):
            if not values:
                out.append(errors.field_required(f"{path}.values", (
                    "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                out.append(errors.field_invalid(f"{path}.values", values, (
                    "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")))
        else:
            out.append(errors.field_invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return out


def validate(obj: Object) -> list[errors.FieldError]:
    spec = obj.get("spec") or {}
    return _amounts(obj, "spec", "hard") + _scopes(spec) + _selector(spec)


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validate(new)
    scopes = dig(new, "spec", "scopes") or []
    if set(scopes) != set(dig(old, "spec", "scopes") or ()):
        out.append(errors.field_invalid("spec.scopes", scopes or None, validation.IMMUTABLE))
    return out


def validate_status(new: Object, old: Object) -> list[errors.FieldError]:
    return _amounts(new, "status", "hard") + _amounts(new, "status", "used")


def _uses(obj: Object, wanted: bool) -> str:
    hard, used = dig(obj, "status", "hard") or {}, dig(obj, "status", "used") or {}
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)
                     if (not name.startswith("limits.")) is wanted)


RESOURCE = Resource(
    kind="ResourceQuota",
    plural="resourcequotas",
    short_names=("quota",),
    definition="io.k8s.api.core.v1.ResourceQuota",
    registry="resourcequotas",
    subresources=(subresources.status("ResourceQuota", validate=validate_status),),
    has_generation=False,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Request", lambda obj, now: _uses(obj, True), description=(
            "Request represents a minimum amount of cpu/memory that a container may consume.")),
        Column("Limit", lambda obj, now: _uses(obj, False), description=(
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the "
            "node.")),
        columns.AGE,
    ),
)
