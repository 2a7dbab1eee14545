"""The groups that upstream v1.37 serves by default, in its order, each with its preferred version first."""

from __future__ import annotations

from kubewheel.api import catalog

GROUPS = [
    ("", ["v1"]), ("apiregistration.k8s.io", ["v1"]), ("apps", ["v1"]), ("events.k8s.io", ["v1"]),
    ("authentication.k8s.io", ["v1"]), ("authorization.k8s.io", ["v1"]), ("autoscaling", ["v2", "v1"]), ("batch", ["v1"]),
    ("certificates.k8s.io", ["v1"]), ("networking.k8s.io", ["v1"]), ("policy", ["v1"]),
    ("rbac.authorization.k8s.io", ["v1"]), ("storage.k8s.io", ["v1"]), ("admissionregistration.k8s.io", ["v1"]),
    ("apiextensions.k8s.io", ["v1"]), ("scheduling.k8s.io", ["v1"]), ("coordination.k8s.io", ["v1"]),
    ("node.k8s.io", ["v1"]), ("discovery.k8s.io", ["v1"]), ("flowcontrol.apiserver.k8s.io", ["v1"]),
    ("resource.k8s.io", ["v1"]), ("storagemigration.k8s.io", ["v1"]),
]


def test_groups_and_versions_in_upstreams_order():
    have: dict[str, list[str]] = {}
    for r in catalog.RESOURCES:
        if r.version not in have.setdefault(r.group, []):
            have[r.group].append(r.version)
    assert list(have.items()) == GROUPS
