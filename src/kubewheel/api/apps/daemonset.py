"""daemonsets.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="apps",
    kind="DaemonSet",
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.DaemonSet",
    registry="daemonsets",
    subresources=(subresources.status("DaemonSet"),),
    prepare_create=subresources.drop_status,
)
