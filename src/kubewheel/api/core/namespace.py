"""namespaces.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource, Subresource

RESOURCE = Resource(
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    definition="io.k8s.api.core.v1.Namespace",
    registry="namespaces",
    subresources=(subresources.status("Namespace"), Subresource("finalize", "Namespace", verbs=("update",), owns=(("spec", "finalizers"),)),),
    has_generation=False,
    name_rule="label",
)
