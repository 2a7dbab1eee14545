"""limitranges.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, quantity, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import resource_validation
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    for item in dig(obj, "spec", "limits") or ():
        if item.get("type") != "Container":
            continue
        # A default comes from max, a default request from the default, else from min.
        default = dict(item.get("default") or {})
        for name, amount in (item.get("max") or {}).items():
            default.setdefault(name, amount)
        request = dict(item.get("defaultRequest") or {})
        for source in (default, item.get("min") or {}):
            for name, amount in source.items():
                request.setdefault(name, amount)
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
# (field the finding is at, the lower side, its word, the upper side, its word, whose value is shown)
_ORDER = (("min", "min", "min", "max", "max", "min"),
          ("defaultRequest", "min", "min", "defaultRequest", "default request", "defaultRequest"),
          ("defaultRequest", "defaultRequest", "default request", "max", "max", "defaultRequest"),
          ("defaultRequest", "defaultRequest", "default request", "default", "default limit", "defaultRequest"),
          ("default", "min", "min", "default", "default", "min"),
          ("default", "default", "default", "max", "max", "max"))


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    seen: set[str] = set()
    for i, item in enumerate(dig(obj, "spec", "limits") or ()):
        where, kind = f"spec.limits[{i}]", item.get("type") or ""
        out += _type(kind, f"{where}.type")
        if kind in seen:
            out.append(errors.field_duplicate(f"{where}.type", kind))
        seen.add(kind)
        out += _sides(item, kind, where)
        keys = sorted({name for side in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
                       for name in item.get(side) or ()})
        for name in keys:
            out += _order(item, name, where) + _ratio(item, name, where)
    return out


def _type(kind: str, path: str) -> list[errors.FieldError]:
    if found := names.qualified(kind):
        return validation.check(path, kind, found)
    if "/" not in kind and kind not in _TYPES:
        return [errors.field_invalid(path, kind, "must be a standard limit type or fully qualified")]
    return []


def _sides(item: Object, kind: str, path: str) -> list[errors.FieldError]:
    rule = (resource_validation.container_resource_name if kind in ("Pod", "Container")
            else resource_validation.resource_name)

    def named(side: str) -> list[errors.FieldError]:
        return [f for name in item.get(side) or () for f in rule(name, f"{path}.{side}[{name}]")]

    out = named("max") + named("min")
    if kind == "Pod":
        out += [errors.field_forbidden(f"{path}.{side}", "may not be specified when `type` is 'Pod'")
                for side in ("default", "defaultRequest") if item.get(side)]
    else:
        out += named("default") + named("defaultRequest")
    if kind == "PersistentVolumeClaim" and not any("storage" in (item.get(s) or {}) for s in ("min", "max")):
        out.append(errors.field_required(f"{path}.limits", (
            "either minimum or maximum storage value is required, but neither was provided")))
    return out + named("maxLimitRequestRatio")


def _order(item: Object, name: str, path: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    for at, low, low_word, high, high_word, shown in _ORDER:
        if item.get("type") == "Pod" and {low, high} & {"default", "defaultRequest"}:
            continue
        a, b = (item.get(low) or {}).get(name), (item.get(high) or {}).get(name)
        if a is not None and b is not None and quantity.compare(a, b) > 0:
            out.append(errors.field_invalid(f"{path}.{at}[{name}]", quantity.canonical(item[shown][name]), (
                f"{low_word} value {quantity.canonical(a)} is greater than {high_word} value {quantity.canonical(b)}")))
    return out


def _ratio(item: Object, name: str, path: str) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    ratio, low, high = ((item.get(side) or {}).get(name) for side in ("maxLimitRequestRatio", "min", "max"))
    where = f"{path}.maxLimitRequestRatio[{name}]"
    if ratio is not None and quantity.compare(ratio, "1") < 0:
        out.append(errors.field_invalid(where, quantity.canonical(ratio),
                                        f"ratio {quantity.canonical(ratio)} is less than 1"))
    if ratio is not None and low is not None and high is not None and quantity.nano(low):
        most = quantity.nano(high) / quantity.nano(low)
        if quantity.nano(ratio) / quantity.NANO > most:
            out.append(errors.field_invalid(where, quantity.canonical(ratio), (
                f"ratio {quantity.canonical(ratio)} is greater than max/min = {most:f}")))
    request, default = ((item.get(side) or {}).get(name) for side in ("defaultRequest", "default"))
    if not resource_validation.may_overcommit(name) and request is not None and default is not None and (
            quantity.compare(request, default)):
        out.append(errors.field_invalid(f"{path}.defaultRequest[{name}]", quantity.canonical(request), (
            f"default value {quantity.canonical(default)} must equal to defaultRequest value "
            f"{quantity.canonical(request)} in {name}")))
    return out


RESOURCE = Resource(
    kind="LimitRange",
    plural="limitranges",
    short_names=("limits",),
    definition="io.k8s.api.core.v1.LimitRange",
    registry="limitranges",
    has_generation=False,
    create_on_update=True,
    defaults=defaults,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    columns=(columns.NAME, Column("Created At", columns.at("metadata", "creationTimestamp"), type="date",
                                  description=".metadata.creationTimestamp")),
)
