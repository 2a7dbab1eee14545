"""deviceclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, shape
from kubewheel.api.dra import configs, requests
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")


def _validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return requests.selectors(spec.get("selectors") or [], "spec.selectors") + configs.each(
        spec.get("config") or [], "spec.config")


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceClass",
    registry="deviceclasses",
    defaults=defaults,
    validate=_validate,
    validate_update=lambda new, old: _validate(new),
    columns=(columns.NAME, columns.AGE),
)
