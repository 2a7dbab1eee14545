"""selfsubjectreviews: answered, never stored.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="authentication.k8s.io",
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authentication.v1.SelfSubjectReview",
    has_generation=False,
    not_stored=True,
)
