"""bindings: the old way to bind a pod; answered like pods/binding.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="Binding",
    plural="bindings",
    verbs=("create",),
    definition="io.k8s.api.core.v1.Binding",
    has_generation=False,
    not_stored=True,
)
