"""jobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="batch",
    kind="Job",
    plural="jobs",
    categories=("all",),
    definition="io.k8s.api.batch.v1.Job",
    registry="jobs",
    subresources=(subresources.status("Job"),),
    prepare_create=subresources.drop_status,
)
