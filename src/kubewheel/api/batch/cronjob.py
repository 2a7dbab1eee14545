"""cronjobs.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="batch",
    kind="CronJob",
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    definition="io.k8s.api.batch.v1.CronJob",
    registry="cronjobs",
    subresources=(subresources.status("CronJob"),),
    prepare_create=subresources.drop_status,
)
