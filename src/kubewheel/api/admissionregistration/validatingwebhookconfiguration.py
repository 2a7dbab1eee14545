"""validatingwebhookconfigurations.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.admissionregistration import webhooks
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="ValidatingWebhookConfiguration",
    plural="validatingwebhookconfigurations",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    registry="validatingwebhookconfigurations",
    unconditional_update=False,
    defaults=lambda obj: webhooks.defaults(obj, mutating=False),
    validate=lambda obj: webhooks.validate(obj, mutating=False),
    validate_update=lambda new, old: webhooks.validate(new, mutating=False),
    columns=webhooks.COLUMNS,
)
