"""resourceclaimtemplates.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import validation
from kubewheel.api.columns import AGE, NAME, dig
from kubewheel.api.dra import resourceclaim
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="resource.k8s.io",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    definition="io.k8s.api.resource.v1.ResourceClaimTemplate",
    registry="resourceclaimtemplates",
    has_generation=False,
    defaults=lambda obj: resourceclaim.request_defaults(dig(obj, "spec", "spec")),
    validate_update=lambda new, old: validation.immutable(new.get("spec"), old.get("spec"), "spec"),
    columns=(NAME, AGE),
)
