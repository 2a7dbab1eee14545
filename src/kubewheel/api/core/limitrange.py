"""limitranges.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, quantity
from kubewheel.api.columns import dig
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


_PAIRS = (("min", "max"), ("min", "defaultRequest"), ("min", "default"), ("defaultRequest", "default"),
          ("defaultRequest", "max"), ("default", "max"))


def validate(obj: Object) -> list[errors.FieldError]:
    out: list[errors.FieldError] = []
    seen: set[str] = set()
    for i, item in enumerate(dig(obj, "spec", "limits") or ()):
        where, kind = f"spec.limits[{i}]", item.get("type") or ""
        if kind in seen:
            out.append(errors.field_duplicate(f"{where}.type", kind))
        seen.add(kind)
        if kind == "Pod":
            out += [errors.field_forbidden(f"{where}.{f}", "may not be specified when `type` is 'Pod'")
                    for f in ("default", "defaultRequest") if item.get(f)]
        for low, high in _PAIRS:
            for name, amount in (item.get(low) or {}).items():
                bound = (item.get(high) or {}).get(name)
                if bound is not None and quantity.compare(amount, bound) > 0:
                    words = {"defaultRequest": "default request", "default": "default"}
                    out.append(errors.field_invalid(f"{where}.{low}[{name}]", amount, (
                        f"{words.get(low, low)} value {amount} is greater than {words.get(high, high)} value {bound}")))
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
