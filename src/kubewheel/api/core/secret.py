"""secrets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    kind="Secret",
    plural="secrets",
    definition="io.k8s.api.core.v1.Secret",
    registry="secrets",
    has_generation=False,
)
