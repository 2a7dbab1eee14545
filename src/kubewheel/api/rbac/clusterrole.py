"""clusterroles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.rbac import rules
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="rbac.authorization.k8s.io",
    kind="ClusterRole",
    plural="clusterroles",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRole",
    registry="clusterroles",
    has_generation=False,
    name_rule="path-segment",
    create_on_update=True,
    defaults=rules.role_defaults,
    validate=rules.cluster_role,
    validate_update=lambda new, old: rules.cluster_role(new),
    columns=(columns.NAME, rules.CREATED),
)
