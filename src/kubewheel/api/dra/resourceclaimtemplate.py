"""resourceclaimtemplates.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import errors, shape, validation
from kubewheel.api.columns import AGE, NAME, dig
from kubewheel.api.core.persistentvolumeclaim import NOT_IN_TEMPLATES
from kubewheel.api.dra import requests
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object, Resource


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.struct(spec, "metadata")
    requests.defaults(shape.struct(spec, "spec"))


def _validate(obj: Object) -> list[FieldError]:
    meta, path = dig(obj, "spec", "metadata") or {}, "spec.metadata"
    out = validation.validate_annotations(meta.get("annotations") or {}, f"{path}.annotations")
    out += validation.validate_labels(meta.get("labels") or {}, f"{path}.labels")
    out += [errors.field_forbidden(f"{path}.{field}", "cannot be set") for field in NOT_IN_TEMPLATES if meta.get(field)]
    return out + requests.validate(dig(obj, "spec", "spec") or {}, "spec.spec")


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    definition="io.k8s.api.resource.v1.ResourceClaimTemplate",
    registry="resourceclaimtemplates",
    has_generation=False,
    defaults=defaults,
    validate=_validate,
    validate_update=lambda new, old: validation.immutable(new.get("spec"), old.get("spec"), "spec"),
    columns=(NAME, AGE),
)
