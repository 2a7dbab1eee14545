"""runtimeclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.columns import dig
from kubewheel.api.core import scheduling_validation
from kubewheel.api.core.node_warnings import DEPRECATED_NODE_LABELS
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    handler = obj.get("handler") or ""
    out = validation.check("handler", handler, names.label(handler))
    for name, amount in (dig(obj, "overhead", "podFixed") or {}).items():
        path = f"overhead.podFixed.limits[{name}]"
        out += validation.check(path, name, names.qualified(name)) + validation.validate_quantity(amount, path)
    scheduling = obj.get("scheduling") or {}
    if selector := scheduling.get("nodeSelector"):
        out += validation.validate_labels(selector, "scheduling.nodeSelector")
    return out + _tolerations(scheduling.get("tolerations") or [])


def _tolerations(items: list[Object]) -> list[errors.FieldError]:
    path = "scheduling.tolerations"
    out = scheduling_validation.tolerations(items, path)
    for i, item in enumerate(items):
        if item in items[:i]:
            shown = {go: item.get(field) or ("" if field != "tolerationSeconds" else None) for go, field in _TOLERATION}
            out.append(errors.field_duplicate(f"{path}[{i}]", shown))
    return out


_TOLERATION = (("Key", "key"), ("Operator", "operator"), ("Value", "value"), ("Effect", "effect"),
               ("TolerationSeconds", "tolerationSeconds"))


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validation.immutable(new.get("handler"), old.get("handler"), "handler")


def warnings(obj: Object) -> list[str]:
    return [f"scheduling.nodeSelector: {DEPRECATED_NODE_LABELS[key]}"
            for key in dig(obj, "scheduling", "nodeSelector") or () if key in DEPRECATED_NODE_LABELS]


RESOURCE = Resource(
    group="node.k8s.io",
    kind="RuntimeClass",
    plural="runtimeclasses",
    namespaced=False,
    definition="io.k8s.api.node.v1.RuntimeClass",
    registry="runtimeclasses",
    has_generation=False,
    unconditional_update=False,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(columns.NAME, Column("Handler", columns.at("handler")), columns.AGE),
)
