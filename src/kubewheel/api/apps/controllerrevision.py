"""controllerrevisions: one recorded state of a workload.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, fill, validation
from kubewheel.api.resource import Column, Object, Resource


def defaults(obj: Object) -> None:
    fill.absent(obj, revision=0)


def validate(obj: Object) -> list[errors.FieldError]:
    out = validation.non_negative(obj.get("revision"), "revision")
    if obj.get("data") is None:
        out.append(errors.field_required("data", "data is mandatory"))
    elif not isinstance(obj["data"], dict):
        out.append(errors.field_required("data", "data must be a valid JSON object"))
    return out


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    out = validation.non_negative(new.get("revision"), "revision")
    return out + validation.immutable(new.get("data"), old.get("data"), "data")


def _controller(obj: Object, now: float) -> str:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner.get("apiVersion", "").rpartition("/")[0]
            return f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return columns.NONE


RESOURCE = Resource(
    group="apps",
    kind="ControllerRevision",
    plural="controllerrevisions",
    definition="io.k8s.api.apps.v1.ControllerRevision",
    registry="controllerrevisions",
    has_generation=False,
    defaults=defaults,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Controller", _controller, description="Controller of the object"),
        Column("Revision", columns.number("revision"), description=".revision"),
        columns.AGE,
    ),
)
