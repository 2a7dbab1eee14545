"""mutatingadmissionpolicybindings.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.admissionregistration import policies
from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="MutatingAdmissionPolicyBinding",
    plural="mutatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
    registry="mutatingadmissionpolicybindings",
    unconditional_update=False,
    defaults=policies.binding_defaults,
    validate=policies.validate_binding,
    validate_update=lambda new, old: policies.validate_binding(new),
    columns=policies.BINDING_COLUMNS,
)
