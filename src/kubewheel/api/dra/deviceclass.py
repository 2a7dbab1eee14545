"""deviceclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, shape
from kubewheel.api.dra import requests
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")


def _validate(obj: Object) -> list[FieldError]:
    return requests.selectors((obj.get("spec") or {}).get("selectors") or [], "spec.selectors")


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
