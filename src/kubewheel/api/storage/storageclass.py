"""storageclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.core.node_warnings import DEPRECATED_NODE_LABELS
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Column, Object, Resource
from kubewheel.api.storage import drivers

DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BETA = "storageclass.beta.kubernetes.io/is-default-class"


def defaults(obj: Object) -> None:
    if obj.get("reclaimPolicy") is None:
        obj["reclaimPolicy"] = "Delete"
    if obj.get("volumeBindingMode") is None:
        obj["volumeBindingMode"] = "Immediate"


def is_default(obj: Object) -> bool:
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(DEFAULT) == "true" or annotations.get(_BETA) == "true"


def validate(obj: Object) -> list[FieldError]:
    out = drivers.provisioner(obj.get("provisioner") or "", "provisioner")
    out += drivers.parameters(obj.get("parameters"), "parameters")
    out += validation.one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), "reclaimPolicy", required=False)
    mode = obj.get("volumeBindingMode")
    if mode is None:
        out.append(errors.field_required("volumeBindingMode"))
    elif mode not in _MODES:
        out.append(errors.field_not_supported("volumeBindingMode", mode, _MODES))
    return out + _topologies(obj.get("allowedTopologies") or [])


_MODES = ("Immediate", "WaitForFirstConsumer")


def _topologies(terms: list[Object]) -> list[FieldError]:
    path = "allowedTopologies"
    out: list[FieldError] = []
    seen: list[dict[str, set[str]]] = []
    for i, term in enumerate(terms):
        expressions = term.get("matchLabelExpressions") or ()
        asked: dict[str, set[str]] = {}
        if not expressions:
            out.append(errors.field_required(f"{path}[{i}]"))
        for j, expression in enumerate(expressions):
            where, key = f"{path}[{i}].matchLabelExpressions[{j}]", expression.get("key") or ""
            out += _values(expression.get("values") or [], f"{where}.values")
            if key in asked:
                out.append(errors.field_duplicate(f"{where}.key", key))
            asked[key] = set(expression.get("values") or ())
            out += validation.check(f"{where}.key", key, names.qualified(key))
        if asked in seen:
            out.append(errors.field_duplicate(f"{path}[{i}].matchLabelExpressions", ""))
        seen.append(asked)
    return out


def _values(values: list[str], path: str) -> list[FieldError]:
    if not values:
        return [errors.field_required(path)]
    return [errors.field_duplicate(f"{path}[{i}]", value) for i, value in enumerate(values) if value in values[:i]]


def validate_update(new: Object, old: Object) -> list[FieldError]:
    out = validate(new)
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(field) or None) != (old.get(field) or None):
            out.append(errors.field_forbidden(field, f"updates to {field} are forbidden."))
    return out + validation.immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode")


def warnings(obj: Object) -> list[str]:
    return [f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {DEPRECATED_NODE_LABELS[key]}"
            for i, term in enumerate(obj.get("allowedTopologies") or ())
            for j, expression in enumerate(term.get("matchLabelExpressions") or ())
            if (key := expression.get("key")) in DEPRECATED_NODE_LABELS]


def _name(obj: Object, now: float) -> str:
    return obj["metadata"].get("name", "") + (" (default)" if is_default(obj) else "")


RESOURCE = Resource(
    group="storage.k8s.io",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    registry="storageclasses",
    has_generation=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    columns=(
        Column("Name", _name, format="name", description=".metadata.name"),
        Column("Provisioner", columns.at("provisioner"), description=".provisioner"),
        Column("ReclaimPolicy", columns.at("reclaimPolicy", default="Delete"), description=".reclaimPolicy"),
        Column("VolumeBindingMode", columns.at("volumeBindingMode", default="Immediate"),
               description=".volumeBindingMode"),
        Column("AllowVolumeExpansion", lambda obj, now: bool(obj.get("allowVolumeExpansion")),
               description=".allowVolumeExpansion"),
        columns.AGE,
    ),
)
