"""roles.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

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
)
