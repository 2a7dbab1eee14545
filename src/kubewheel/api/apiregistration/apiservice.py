"""apiservices.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="apiregistration.k8s.io",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    registry="apiregistration.k8s.io/apiservices",
    subresources=(subresources.status("APIService"),),
    has_generation=False,
    prepare_create=subresources.drop_status,
    unconditional_update=False,
)
