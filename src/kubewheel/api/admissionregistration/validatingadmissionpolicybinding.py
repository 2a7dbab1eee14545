"""validatingadmissionpolicybindings.

In: objects. Out: RESOURCE. Called by: catalog.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Resource

RESOURCE = Resource(
    group="admissionregistration.k8s.io",
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    registry="validatingadmissionpolicybindings",
    unconditional_update=False,
)
