"""clusterrolebindings.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.rbac import rules
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="rbac.authorization.k8s.io",
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRoleBinding",
    registry="clusterrolebindings",
    has_generation=False,
    name_rule="path-segment",
    create_on_update=True,
    defaults=rules.binding_defaults,
    validate=lambda obj: rules.binding(obj, namespaced=False),
    validate_update=lambda new, old: rules.binding_update(new, old, namespaced=False),
    columns=rules.binding_columns("clusterRoleBinding"),
)
