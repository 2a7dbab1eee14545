"""devicetaintrules.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, shape, subresources
from kubewheel.api.dra import taints
from kubewheel.api.resource import Object, PrepareContext, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec", "taint")
    shape.struct(obj, "status")


def prepare_create(obj: Object, context: PrepareContext) -> None:
    obj.pop("status", None)
    taints.stamp(shape.struct(obj, "spec", "taint"), context.now)


def prepare_update(new: Object, old: Object, context: PrepareContext) -> None:
    taints.stamp(shape.struct(new, "spec", "taint"), context.now)


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceTaintRule",
    plural="devicetaintrules",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceTaintRule",
    registry="devicetaintrules",
    subresources=(subresources.status("DeviceTaintRule"),),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=lambda obj: taints.validate(obj["spec"]["taint"], "spec.taint"),
    validate_update=lambda new, old: taints.validate(new["spec"]["taint"], "spec.taint"),
    columns=(columns.NAME, columns.AGE),
)
