"""mutatingadmissionpolicies.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.admissionregistration import policies
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="MutatingAdmissionPolicy",
    plural="mutatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    registry="mutatingadmissionpolicies",
    unconditional_update=False,
    defaults=policies.policy_defaults,
    validate=policies.validate_policy,
    validate_update=lambda new, old: policies.validate_policy(new),
    columns=policies.policy_columns(
        "Mutations", "mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
)
