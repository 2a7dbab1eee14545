"""ipaddresses: one Service address in use.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="networking.k8s.io",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    registry="ipaddresses",
    has_generation=False,
    name_rule="ip",
)
