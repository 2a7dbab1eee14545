"""subjectaccessreviews: answered, never stored.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="authorization.k8s.io",
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SubjectAccessReview",
    has_generation=False,
    not_stored=True,
)
