"""deviceclasses.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, errors, shape
from kubewheel.api.core import resource_validation
from kubewheel.api.dra import configs, selectors
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, Resource


def defaults(obj: Object) -> None:
    shape.struct(obj, "spec")


def _validate(obj: Object, old: Object | None = None) -> list[FieldError]:
    """Expressions that were stored are not compiled again."""
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    given, config = spec.get("selectors") or [], spec.get("config") or []
    out = selectors.validate(given, "spec.selectors") if given != before.get("selectors") else []
    out += configs.each(config, "spec.config", stored=old is not None and config == (before.get("config") or []))
    name = spec.get("extendedResourceName")
    if name is not None and not resource_validation.is_extended(name):
        out.append(errors.field_invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return out


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    definition="io.k8s.api.resource.v1.DeviceClass",
    registry="deviceclasses",
    defaults=defaults,
    validate=_validate,
    validate_update=_validate,
    columns=(columns.NAME, columns.AGE),
)
