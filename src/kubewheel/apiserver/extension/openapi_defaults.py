"""Which fields have defaults in OpenAPI v3 documents. Swagger 2.0, which the type data comes from, has none.

Facts: a struct that is no pointer is `{}` when it is not there, a required scalar that is none is its zero; what follows
neither rule is named here. Called by: openapi_types.py. As upstream's OpenAPI v3 documents and apply schemas have them.
"""

from __future__ import annotations

from typing import Any

ALWAYS = ("metadata", "spec", "status")  # of any object
STRUCTS = frozenset("""
APIGroup.preferredVersion AllocationResult.devices Binding.target ClusterRoleBinding.roleRef
CustomResourceDefinitionSpec.names CustomResourceDefinitionStatus.acceptedNames SelfSubjectReviewStatus.userInfo
TokenReviewStatus.user Container.resources ContainerResourceMetricSource.target
ContainerResourceMetricStatus.current ContainerStatus.lastState ContainerStatus.state CronJobSpec.jobTemplate
DaemonSetSpec.template DaemonSetSpec.updateStrategy DeploymentSpec.strategy DeploymentSpec.template
DeviceTaintRuleSpec.taint Endpoint.conditions EphemeralContainer.resources Event.deprecatedSource
Event.involvedObject Event.regarding Event.source ExternalMetricSource.metric ExternalMetricSource.target
ExternalMetricStatus.current ExternalMetricStatus.metric FlowSchemaSpec.priorityLevelConfiguration
HTTPIngressPath.backend HorizontalPodAutoscalerSpec.scaleTargetRef IngressServiceBackend.port
IngressStatus.loadBalancer JobSpec.template LimitedPriorityLevelConfiguration.limitResponse
MutatingWebhook.clientConfig NetworkPolicySpec.podSelector NodeDaemonEndpoints.kubeletEndpoint
NodeStatus.daemonEndpoints NodeStatus.nodeInfo ObjectMetricSource.describedObject ObjectMetricSource.metric
ObjectMetricSource.target ObjectMetricStatus.current ObjectMetricStatus.describedObject ObjectMetricStatus.metric
PersistentVolumeClaimSpec.resources PodTemplate.template PodsMetricSource.metric PodsMetricSource.target
PodsMetricStatus.current PodsMetricStatus.metric PreferredSchedulingTerm.preference ReplicaSetSpec.template
ResourceClaimSpec.devices ResourceMetricSource.target ResourceMetricStatus.current ResourceSliceSpec.pool
RoleBinding.roleRef ServiceStatus.loadBalancer StatefulSetSpec.template StatefulSetSpec.updateStrategy
StorageVersionMigrationSpec.resource ValidatingWebhook.clientConfig VolumeAttachmentSpec.source
WeightedPodAffinityTerm.podAffinityTerm
""".split())
WITHOUT = frozenset("""
CertificateSigningRequestSpec.request ContainerRestartRule.action ContainerRestartRuleOnExitCodes.operator
FlowSchemaCondition.type HTTPIngressPath.pathType ImageVolumeStatus.imageRef LeaseCandidateSpec.strategy
MutatingWebhook.sideEffects ParentReference.name ParentReference.resource PodCertificateProjection.keyType
PodCertificateProjection.signerName PodCertificateRequestSpec.stubPKCS10Request PoolStatus.driver
PoolStatus.poolName PriorityLevelConfigurationCondition.type ResourcePoolStatusRequestStatus.poolCount
ServerStorageVersion.apiServerID ServerStorageVersion.encodingVersion StorageVersionCondition.message
ValidatingAdmissionPolicyBindingSpec.policyName ValidatingWebhook.sideEffects
""".split())
ZERO: dict[str, Any] = {"string": "", "integer": 0, "boolean": False, "number": 0}
# Not required, and zero all the same.
ZEROES = frozenset("""
AzureDiskVolumeSource.readOnly ConfigMapEnvSource.name ConfigMapKeySelector.name ConfigMapProjection.name
ConfigMapVolumeSource.name ControllerRevision.revision DaemonSetCondition.status DaemonSetCondition.type
DeploymentCondition.status DeploymentCondition.type DeviceRequest.deviceClassName Event.reportingComponent
Event.reportingInstance FileKeySelector.optional FlowSchemaSpec.matchingPrecedence GRPCAction.service
LocalObjectReference.name NodeRuntimeHandler.name PodDisruptionBudgetStatus.currentHealthy
PodDisruptionBudgetStatus.desiredHealthy PodDisruptionBudgetStatus.disruptionsAllowed
PodDisruptionBudgetStatus.expectedPods PodFailurePolicyOnPodConditionsPattern.status PriorityClass.value
QueuingConfiguration.handSize QueuingConfiguration.queueLengthLimit QueuingConfiguration.queues
ScaleSpec.replicas ReplicaSetCondition.status ReplicaSetCondition.type ReplicationControllerSpec.minReadySeconds RoleRef.apiGroup
SecretEnvSource.name SecretKeySelector.name SecretProjection.name StatefulSetCondition.status
StatefulSetCondition.type StatefulSetOrdinals.start StatefulSetSpec.serviceName StatefulSetStatus.availableReplicas
""".split())
OTHERS: dict[str, Any] = {
    "AzureDiskVolumeSource.cachingMode": "ReadWrite", "AzureDiskVolumeSource.fsType": "ext4",
    "AzureDiskVolumeSource.kind": "Shared", "ContainerPort.protocol": "TCP", "DeviceToleration.operator": "Equal",
    "ISCSIPersistentVolumeSource.iscsiInterface": "default", "ISCSIVolumeSource.iscsiInterface": "default",
    "PodCertificateRequestSpec.maxExpirationSeconds": 86400,
    "RBDPersistentVolumeSource.keyring": "/etc/ceph/keyring", "RBDPersistentVolumeSource.pool": "rbd",
    "RBDPersistentVolumeSource.user": "admin", "RBDVolumeSource.keyring": "/etc/ceph/keyring",
    "RBDVolumeSource.pool": "rbd", "RBDVolumeSource.user": "admin", "ReplicationControllerSpec.replicas": 1,
    "ResourcePoolStatusRequestSpec.limit": 100, "ScaleIOPersistentVolumeSource.fsType": "xfs",
    "ScaleIOPersistentVolumeSource.storageMode": "ThinProvisioned", "ScaleIOVolumeSource.fsType": "xfs",
    "ScaleIOVolumeSource.storageMode": "ThinProvisioned", "ServicePort.protocol": "TCP"}
