"""devicetaintrules.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, condition_rules, errors, shape, subresources
from kubewheel.api.dra import device_names, taints
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, PrepareContext, Resource

MAX_CONDITIONS = 8


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec", "taint")
    shape.struct(obj, "status")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj.pop("status", None)
    taints.stamp(shape.struct(obj, "spec", "taint"), context.now)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    taints.stamp(shape.struct(new, "spec", "taint"), context.now)


def _validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    chosen, path = obj["spec"].get("deviceSelector") or {}, "spec.deviceSelector"
    out: list[FieldError] = []
    for field, rule in (("driver", device_names.driver), ("pool", device_names.pool), ("device", device_names.short)):
        if (name := chosen.get(field)) is not None:
            out += rule(name, f"{path}.{field}")
    return out + taints.validate(obj["spec"]["taint"], "spec.taint", old and old["spec"].get("taint"))


def _validate_status(new: Object, old: Object) -> list[FieldError]:
    conditions, path = (new.get("status") or {}).get("conditions") or [], "status.conditions"
    out = condition_rules.validate(conditions, path)
    if len(conditions) > MAX_CONDITIONS:
        out.append(errors.field_too_many(path, len(conditions), MAX_CONDITIONS))
    return out


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceTaintRule",
    plural="devicetaintrules",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceTaintRule",
    registry="devicetaintrules",
    subresources=(subresources.status("DeviceTaintRule", validate=_validate_status),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=_validate,
    validate_update=_validate,
    columns=(columns.NAME, columns.AGE),
)
