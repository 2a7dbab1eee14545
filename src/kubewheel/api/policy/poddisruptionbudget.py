"""poddisruptionbudgets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="policy",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    short_names=("pdb",),
    definition="io.k8s.api.policy.v1.PodDisruptionBudget",
    registry="poddisruptionbudgets",
    subresources=(subresources.status("PodDisruptionBudget"),),
    prepare_create=subresources.drop_status,
    unconditional_update=False,
)
