"""resourceclaimtemplates.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import shape, validation
from kubewheel.api.columns import AGE, NAME, dig
from kubewheel.api.dra import requests
from kubewheel.api.resource import Object, Resource


def defaults(obj: Object) -> None:
    spec = shape.struct(obj, "spec")
    shape.struct(spec, "metadata")
    requests.defaults(shape.struct(spec, "spec"))


RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    definition="io.k8s.api.resource.v1.ResourceClaimTemplate",
    registry="resourceclaimtemplates",
    has_generation=False,
    defaults=defaults,
    validate=lambda obj: requests.validate(dig(obj, "spec", "spec") or {}, "spec.spec"),
    validate_update=lambda new, old: validation.immutable(new.get("spec"), old.get("spec"), "spec"),
    columns=(NAME, AGE),
)
