"""roles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns
from kubewheel.api.rbac import rules
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="rbac.authorization.k8s.io",
    kind="Role",
    plural="roles",
    definition="io.k8s.api.rbac.v1.Role",
    registry="roles",
    has_generation=False,
    name_rule="path-segment",
    create_on_update=True,
    defaults=rules.role_defaults,
    validate=lambda obj: rules.policy_rules(obj.get("rules"), namespaced=True),
    validate_update=lambda new, old: rules.policy_rules(new.get("rules"), namespaced=True),
    columns=(columns.NAME, rules.CREATED),
)
