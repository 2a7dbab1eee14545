"""csinodes.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import columns, subresources
from kubewheel.api.columns import dig
from kubewheel.api.resource import Column, Resource

RESOURCE = Resource(
    group="storage.k8s.io",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSINode",
    registry="csinodes",
    subresources=(subresources.status("CSINode"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    columns=(columns.NAME, Column("Drivers", lambda obj, now: len(dig(obj, "spec", "drivers") or ()), type="integer",
                                  description="Drivers indicates the number of CSI drivers registered on the node"),
             columns.AGE),
)
