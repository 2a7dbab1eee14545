"""leases.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="coordination.k8s.io",
    kind="Lease",
    plural="leases",
    definition="io.k8s.api.coordination.v1.Lease",
    registry="leases",
    has_generation=False,
    create_on_update=True,
    unconditional_update=False,
)
