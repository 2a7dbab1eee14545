"""The admission plugins, in upstream's order, and which of them are on without a flag.

One file per plugin; `chain.py` builds the chain of the chosen ones. In: nothing. Out: PLUGINS, DEFAULT_ON, ABSENT.
"""

from __future__ import annotations

from kubewheel.apiserver.admission import (
    always,
    certificates,
    default_ingress_class,
    default_storage_class,
    default_tolerations,
    limit_ranger,
    mutating_admission_policy,
    namespace_lifecycle,
    node_restriction,
    owner_references,
    pod_security,
    pod_toleration_restriction,
    pod_topology_labels,
    priority,
    resize,
    resource_quota,
    runtime_class,
    service_account,
    storage_in_use,
    taint_nodes,
    validating_admission_policy,
    webhook,
)
from kubewheel.apiserver.attributes import AdmissionPlugin

PLUGINS: dict[str, type[AdmissionPlugin]] = {
    "AlwaysAdmit": always.AlwaysAdmit,
    "NamespaceAutoProvision": namespace_lifecycle.NamespaceAutoProvision,
    "NamespaceLifecycle": namespace_lifecycle.NamespaceLifecycle,
    "NamespaceExists": namespace_lifecycle.NamespaceExists,
    "LimitRanger": limit_ranger.LimitRanger,
    "ServiceAccount": service_account.ServiceAccount,
    "NodeRestriction": node_restriction.NodeRestriction,
    "TaintNodesByCondition": taint_nodes.TaintNodesByCondition,
    "AlwaysPullImages": always.AlwaysPullImages,
    "PodSecurity": pod_security.PodSecurity,
    "PodTopologyLabels": pod_topology_labels.PodTopologyLabels,
    "Priority": priority.Priority,
    "DefaultTolerationSeconds": default_tolerations.DefaultTolerationSeconds,
    "PodTolerationRestriction": pod_toleration_restriction.PodTolerationRestriction,
    "DefaultStorageClass": default_storage_class.DefaultStorageClass,
    "StorageObjectInUseProtection": storage_in_use.StorageObjectInUseProtection,
    "OwnerReferencesPermissionEnforcement": owner_references.OwnerReferencesPermissionEnforcement,
    "PersistentVolumeClaimResize": resize.PersistentVolumeClaimResize,
    "RuntimeClass": runtime_class.RuntimeClass,
    "CertificateApproval": certificates.CertificateApproval,
    "CertificateSigning": certificates.CertificateSigning,
    "ClusterTrustBundleAttest": certificates.ClusterTrustBundleAttest,
    "CertificateSubjectRestriction": certificates.CertificateSubjectRestriction,
    "DefaultIngressClass": default_ingress_class.DefaultIngressClass,
    # from here on the object is as it will be, but for what policies and webhooks change
    "MutatingAdmissionPolicy": mutating_admission_policy.MutatingAdmissionPolicy,
    "MutatingAdmissionWebhook": webhook.MutatingAdmissionWebhook,
    "ValidatingAdmissionPolicy": validating_admission_policy.ValidatingAdmissionPolicy,
    "ValidatingAdmissionWebhook": webhook.ValidatingAdmissionWebhook,
    "ResourceQuota": resource_quota.ResourceQuota,  # last: nobody may refuse after quota has been taken
    "AlwaysDeny": always.AlwaysDeny,
}

DEFAULT_ON = frozenset({
    "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "TaintNodesByCondition", "PodSecurity",
    "PodTopologyLabels", "Priority",
    "DefaultTolerationSeconds", "DefaultStorageClass", "StorageObjectInUseProtection", "PersistentVolumeClaimResize",
    "RuntimeClass", "CertificateApproval", "CertificateSigning", "ClusterTrustBundleAttest", "CertificateSubjectRestriction",
    "DefaultIngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionWebhook", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook", "ResourceQuota",
    # not on by default upstream, but in every kubeadm cluster (and there --enable-admission-plugins' only entry)
    "NodeRestriction",
})

# upstream's plugins that are not here: asking for them is refused by name
ABSENT = {
    "EventRateLimit": "its configuration file is not read",
    "ExtendedResourceToleration": "not written",
    "ImagePolicyWebhook": "its configuration file is not read",
    "LimitPodHardAntiAffinityTopology": "not written",
    "PodNodeSelector": "not written",
    "DenyServiceExternalIPs": "not written",
}
