"""mutatingwebhookconfigurations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.admissionregistration import webhooks
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
    defaults=lambda obj: webhooks.defaults(obj, mutating=True),
    validate=lambda obj: webhooks.validate(obj, mutating=True),
    validate_update=lambda new, old: webhooks.validate(new, mutating=True),
    columns=webhooks.COLUMNS,
)
