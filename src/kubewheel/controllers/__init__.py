"""Every controller of the controller manager, in the order they are started.

In: nothing. Out: CONTROLLERS, `select`. Called by: run, testing. reconcile/runner.py runs them.
"""

from __future__ import annotations

from kubewheel.controllers import (
    attachdetach,
    bootstrap_signer,
    clusterrole_aggregation,
    cronjob,
    csr,
    daemonset,
    disruption,
    endpoints,
    endpointslice,
    endpointslice_mirroring,
    ephemeral_volume,
    garbagecollector,
    horizontalpodautoscaler,
    job,
    legacy_token_cleaner,
    namespace,
    node_ipam,
    node_lifecycle,
    podgc,
    replicaset,
    replication,
    resourceclaim,
    resourcequota,
    root_ca_publisher,
    service_cidrs,
    serviceaccount,
    serviceaccount_token,
    statefulset,
    taint_eviction,
    token_cleaner,
    ttl,
    ttl_after_finished,
    validatingadmissionpolicy_status,
)
from kubewheel.controllers.deployment import controller as deployment
from kubewheel.controllers.persistentvolume import binder, expander, protection
from kubewheel.reconcile.controller import Controller

CONTROLLERS: tuple[Controller, ...] = (
    # What a namespace needs before a pod can be made in it.
    serviceaccount.CONTROLLER,
    root_ca_publisher.CONTROLLER,
    # Workloads, from the outer to the inner owner.
    deployment.CONTROLLER,
    replicaset.CONTROLLER,
    replication.CONTROLLER,
    daemonset.CONTROLLER,
    statefulset.CONTROLLER,
    cronjob.CONTROLLER,
    job.CONTROLLER,
    ttl_after_finished.CONTROLLER,
    # Services.
    endpoints.CONTROLLER,
    endpointslice.CONTROLLER,
    endpointslice_mirroring.CONTROLLER,
    service_cidrs.CONTROLLER,
    # Cleaning up.
    garbagecollector.CONTROLLER,
    namespace.CONTROLLER,
    podgc.CONTROLLER,
    # Nodes.
    node_ipam.CONTROLLER,
    node_lifecycle.CONTROLLER,
    taint_eviction.CONTROLLER,
    ttl.CONTROLLER,
    # Policies.
    disruption.CONTROLLER,
    clusterrole_aggregation.CONTROLLER,
    resourcequota.CONTROLLER,
    horizontalpodautoscaler.CONTROLLER,
    validatingadmissionpolicy_status.CONTROLLER,
    # Volumes.
    binder.CONTROLLER,
    protection.CLAIM_PROTECTION,
    protection.VOLUME_PROTECTION,
    protection.ATTRIBUTES_PROTECTION,
    expander.CONTROLLER,
    attachdetach.CONTROLLER,
    ephemeral_volume.CONTROLLER,
    resourceclaim.CONTROLLER,
    # Certificates and tokens.
    csr.APPROVER,
    csr.SIGNER,
    csr.CLEANER,
    bootstrap_signer.CONTROLLER,
    token_cleaner.CONTROLLER,
    serviceaccount_token.CONTROLLER,
    legacy_token_cleaner.CONTROLLER,
)


class UnknownController(ValueError):
    """A name in --controllers is not one of ours."""


def select(flag: str) -> tuple[Controller, ...]:
    """`*,-x,foo`: what is named, not what is named with "-", and by `*` all that are on by default."""
    items = [i for i in flag.split(",") if i]
    known = {c.name for c in CONTROLLERS}
    for item in items:
        if item != "*" and item.removeprefix("-") not in known:
            raise UnknownController(f'"{item.removeprefix("-")}" is not in the list of known controllers')
    return tuple(c for c in CONTROLLERS if _is_enabled(c, items))


def _is_enabled(controller: Controller, items: list[str]) -> bool:
    star = False
    for item in items:
        if item == controller.name:
            return True
        if item == f"-{controller.name}":
            return False
        star = star or item == "*"
    return star and controller.default_on


# Upstream's service accounts (kube-system) where they are not called like the controller; RBAC goes by them
# (system:controller:<account>).
# "" acts as the manager itself, as upstream's token controller does.
ACCOUNTS = {
    "bootstrap-signer-controller": "bootstrap-signer",
    "certificatesigningrequest-approving-controller": "certificate-controller",
    "certificatesigningrequest-cleaner-controller": "certificate-controller",
    "certificatesigningrequest-signing-controller": "certificate-controller",
    "daemonset-controller": "daemon-set-controller",
    "endpoints-controller": "endpoint-controller",
    "endpointslice-mirroring-controller": "endpointslicemirroring-controller",
    "garbage-collector-controller": "generic-garbage-collector",
    "horizontal-pod-autoscaler-controller": "horizontal-pod-autoscaler",
    "legacy-serviceaccount-token-cleaner-controller": "legacy-service-account-token-cleaner",
    "node-ipam-controller": "node-controller",
    "node-lifecycle-controller": "node-controller",
    "persistentvolume-attach-detach-controller": "attachdetach-controller",
    "persistentvolume-binder-controller": "persistent-volume-binder",
    "persistentvolume-expander-controller": "expand-controller",
    "persistentvolume-protection-controller": "pv-protection-controller",
    "persistentvolumeclaim-protection-controller": "pvc-protection-controller",
    "pod-garbage-collector-controller": "pod-garbage-collector",
    "replicationcontroller-controller": "replication-controller",
    "resourceclaim-controller": "resource-claim-controller",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "service-cidr-controller": "service-cidrs-controller",
    "serviceaccount-controller": "service-account-controller",
    "serviceaccount-token-controller": "",
    "taint-eviction-controller": "node-controller",
    "token-cleaner-controller": "token-cleaner",
}


def account(controller: Controller) -> str:
    """The service account in kube-system whose identity the controller's client carries; "" for the manager's own."""
    return ACCOUNTS.get(controller.name, controller.name)
