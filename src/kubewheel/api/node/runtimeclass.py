"""runtimeclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, names, validation
from kubewheel.api.resource import Column, Object, Resource


def validate(obj: Object) -> list[errors.FieldError]:
    handler = obj.get("handler") or ""
    return validation.check("handler", handler, names.label(handler))


def validate_update(new: Object, old: Object) -> list[errors.FieldError]:
    return validation.immutable(new.get("handler"), old.get("handler"), "handler")


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
    columns=(columns.NAME, Column("Handler", columns.at("handler"), description=".handler"), columns.AGE),
)
