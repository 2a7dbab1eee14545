"""validatingadmissionpolicies.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api import subresources
from kubewheel.api.admissionregistration import policies
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    registry="validatingadmissionpolicies",
    subresources=(subresources.status("ValidatingAdmissionPolicy"),),
    prepare_create=subresources.drop_status,
    unconditional_update=False,
    defaults=policies.policy_defaults,
    validate=policies.validate_policy,
    validate_update=lambda new, old: policies.validate_policy(new),
    columns=policies.policy_columns(
        "Validations", "validations",
        "Validations indicates the number of validation rules defined in this configuration"),
)
