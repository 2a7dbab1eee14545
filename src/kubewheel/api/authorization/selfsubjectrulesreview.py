"""selfsubjectrulesreviews: answered, never stored.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="authorization.k8s.io",
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    has_generation=False,
    not_stored=True,
)
