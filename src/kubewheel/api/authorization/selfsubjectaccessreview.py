"""selfsubjectaccessreviews: answered, never stored.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="authorization.k8s.io",
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    has_generation=False,
    not_stored=True,
)
