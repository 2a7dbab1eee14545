"""mutatingwebhookconfigurations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="MutatingWebhookConfiguration",
    plural="mutatingwebhookconfigurations",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    registry="mutatingwebhookconfigurations",
    unconditional_update=False,
)
