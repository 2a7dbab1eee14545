"""Feature gates: which there are, their stage and default, and `--feature-gates` taken apart. Pure.

In: name=bool pairs. Out: the gates that are set; GateError in upstream's words; metric kubernetes_feature_enabled.
Called by: cli/component_flags, run, apiserver. A gate that is set differently from its default is known and recorded;
only those WITH_EFFECT switch something (run/alone says of the others that they do not).
"""

from __future__ import annotations

from collections.abc import Mapping

from kubewheel.lib import metrics

_ALPHA = """
APIServingWithRoutine AllowUnsafeMalformedObjectDeletion CBORServingAndStorage CPUCFSQuotaPeriod
CPUManagerPolicyAlphaOptions CSIVolumeHealth ClientsAllowCBOR ClientsPreferCBOR
CloudControllerManagerWatchBasedRoutesReconciliation CloudControllerManagerWebhook ContainerStopSignals
CrossNamespaceVolumeDataSource CustomCPUCFSQuotaPeriod DRAConsumableCapacity DRADeviceBindingConditions
DRADeviceTaintRules DRADeviceTaints DRAExtendedResource DRAPartitionableDevices EventedPLEG GangScheduling
GenericWorkload HPAScaleToZero ImageVolumeWithDigest InPlacePodLevelResourcesVerticalScaling
InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory InTreePluginPortworxUnregister
KubeletInUserNamespace LoggingAlphaOptions ManifestBasedAdmissionControlConfig MemoryQoS MutablePVNodeAffinity
MutablePodResourcesForSuspendedJobs MutableSchedulingDirectivesForSuspendedJobs NativeHistograms NodeDeclaredFeatures
PodAndContainerStatsFromCRI PodLogsQuerySplitStreams QOSReserved ReduceDefaultCrashLoopBackOffDecay
RelaxedServiceNameValidation ResourceHealthStatus RestartAllContainersOnContainerExits RuntimeClassInImageCriAPI
ShardedListAndWatch StorageCapacityScoring StorageVersionAPI StrictIPCIDRValidation TaintTolerationComparisonOperators
TopologyManagerPolicyAlphaOptions UserNamespacesHostNetworkSupport VolumeLimitScaling WindowsCPUAndMemoryAffinity
"""
_BETA_OFF = """
ClusterTrustBundle ClusterTrustBundleProjection ConcurrentWatchObjectDecode CoordinatedLeaderElection
LocalStorageCapacityIsolationFSQuotaMonitoring NodeLogQuery PodCertificateRequest SELinuxMount SchedulerAsyncAPICalls
StorageVersionMigrator
"""
_BETA_ON = """
APIResponseCompression APIServerIdentity AllowParsingUserUIDFromCertAuth AtomicFIFO
AuthorizePodWebsocketUpgradeCreatePermission CPUManagerPolicyBetaOptions CRDObservedGenerationTracking
ClearingNominatedNodeNameAfterBinding ClientsAllowCARotation ClientsAllowTLSCacheGC ComponentFlagz ComponentStatusz
ConstrainedImpersonation ContainerCheckpoint ContainerRestartRules ContextualLogging DRAAdminAccess DRAPrioritizedList
DRAResourceClaimDeviceStatus DRASchedulerFilterTimeout DeclarativeValidationBeta DeploymentReplicaSetTerminatingReplicas
DetectCacheInconsistency DisableCPUQuotaWithExclusiveCPUs EnvFiles ExternalServiceAccountTokenSigner
GracefulNodeShutdown GracefulNodeShutdownBasedOnPodPriority HPAConfigurableTolerance HostnameOverride ImageVolume
InOrderInformersBatchProcess KubeletCrashLoopBackOffMax KubeletEnsureSecretPulledImages KubeletFineGrainedAuthz
KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet KubeletSeparateDiskGC
KubeletServiceAccountTokenForCredentialProviders ListFromCacheSnapshot LoggingBetaOptions
MatchLabelKeysInPodTopologySpread MatchLabelKeysInPodTopologySpreadSelectorMerge MaxUnavailableStatefulSet
MutableCSINodeAllocatableCount NominatedNodeNameForExpectation OpenAPIEnums OpportunisticBatching PodDeletionCost
PodLevelResources PodReadyToStartContainersCondition PodTopologyLabelsAdmission PortForwardWebsockets
PreventStaticPodAPIReferences ProcMountType ReloadKubeletServerCertificateFile RemoteRequestHeaderUID
RotateKubeletServerCertificate SELinuxChangePolicy SELinuxMountReadWriteOncePod SchedulerAsyncPreemption
SchedulerPopFromBackoffQ ServiceAccountNodeAudienceRestriction SizeBasedListCostEstimate
StatefulSetSemanticRevisionComparison StorageVersionHash StructuredAuthenticationConfigurationEgressSelector
StructuredAuthenticationConfigurationJWKSMetrics TokenRequestServiceAccountUIDValidation
TopologyManagerPolicyBetaOptions TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation
UnknownVersionInteroperabilityProxy UnlockWhileProcessingFIFO UserNamespacesSupport
WatchCacheInitializationPostStartHook WatchList WatchListClient WindowsGracefulNodeShutdown
"""
_GA_LOCKED = """
APIServerTracing AnonymousAuthConfigurableEndpoints AnyVolumeDataSource AuthorizeNodeWithSelectors
AuthorizeWithSelectors BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting CSIMigrationPortworx
CSIServiceAccountTokenSecrets ConsistentListFromCache CustomResourceFieldSelectors DeclarativeValidation
DisableAllocatorDualWrite DynamicResourceAllocation ExecProbeTimeout HonorPVReclaimPolicy ImageMaximumGCAge
InOrderInformers InPlacePodVerticalScaling JobBackoffLimitPerIndex JobManagedBy JobPodReplacementPolicy JobSuccessPolicy
KubeletCgroupDriverFromCRI KubeletTracing LogarithmicScaleDown MatchLabelKeysInPodAffinity MemoryManager
MultiCIDRServiceAllocator NFTablesProxyMode NodeInclusionPolicyInPodTopologySpread NodeSwap OrderedNamespaceDeletion
PodLifecycleSleepAction PodLifecycleSleepActionAllowZero PodObservedGenerationTracking PodSchedulingReadiness
PreferSameTrafficDistribution RecoverVolumeExpansionFailure RecursiveReadOnlyMounts RelaxedDNSSearchValidation
RelaxedEnvironmentVariableValidation ResilientWatchCacheInitialization RetryGenerateName SchedulerQueueingHints
SeparateTaintEvictionController ServiceAccountTokenJTI ServiceAccountTokenNodeBinding
ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo ServiceTrafficDistribution SidecarContainers
StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration
StructuredAuthorizationConfiguration SupplementalGroupsPolicy SystemdWatchdog TopologyAwareHints VolumeAttributesClass
WinDSR WinOverlay
"""
_GA = "InformerResourceVersion MutatingAdmissionPolicy TopologyManagerPolicyOptions"
_DEPRECATED_OFF = """
AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests AllowOverwriteTerminationGracePeriodSeconds
ChangeContainerStatusOnKubeletRestart DeclarativeValidationTakeover GitRepoVolumeDriver
InPlacePodVerticalScalingAllocatedStatus KMSv1 KubeletRegistrationGetOnExistsOnly SeparateCacheWatchRPC
WatchFromStorageWithoutResourceVersion WindowsHostNetwork
"""
_DEPRECATED_ON = """
AggregatedDiscoveryRemoveBetaType DisableNodeKubeProxyVersion KubeletPodResourcesListUseActivePods StorageNamespaceIndex
"""
_LOCKED_TOO = ("AggregatedDiscoveryRemoveBetaType", "AllowOverwriteTerminationGracePeriodSeconds", "SeparateCacheWatchRPC",
               "WatchFromStorageWithoutResourceVersion")
# Those that switch something in kubewheel; the others are checked, shown, and change nothing.
WITH_EFFECT = frozenset("""
ComponentFlagz ComponentStatusz MutatingAdmissionPolicy PodTopologyLabelsAdmission StorageVersionHash WatchList
""".split())
# name -> (stage as in the metric, default)
GATES: dict[str, tuple[str, bool]] = {
    name: (stage, default) for names, stage, default in (
        (_ALPHA, "ALPHA", False), (_BETA_OFF, "BETA", False), (_BETA_ON, "BETA", True), (_GA_LOCKED, "", True),
        (_GA, "", True), (_DEPRECATED_OFF, "DEPRECATED", False), (_DEPRECATED_ON, "DEPRECATED", True),
        ("AllAlpha", "ALPHA", False), ("AllBeta", "BETA", False)) for name in names.split()}
_LOCKED = frozenset(_GA_LOCKED.split()) | frozenset(_LOCKED_TOO)
ENABLED = metrics.REGISTRY.gauge(
    "kubernetes_feature_enabled", "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
    "name", "stage")


class GateError(ValueError):
    """A gate that there is not, or that cannot be set so."""


def parse(pairs: Mapping[str, str]) -> dict[str, bool]:
    """The gates that are set. `component:name` is taken for `name`; the component kube is the only one."""
    out: dict[str, bool] = {}
    for key, text in pairs.items():
        component, _, name = key.rpartition(":")
        if component not in ("", "kube"):
            raise GateError(f"component not registered: {component}")
        if text.lower() not in ("true", "false", "t", "f", "1", "0"):
            raise GateError(f'invalid value of {name}={text}, err: strconv.ParseBool: parsing "{text}": invalid syntax')
        value = text.lower() in ("true", "t", "1")
        if name not in GATES:
            raise GateError(f"unrecognized feature gate: {name}")
        default = GATES[name][1]
        if name in _LOCKED and value != default:
            raise GateError(f"cannot set feature gate {name} to {str(value).lower()}, feature is locked to "
                            f"{str(default).lower()}")
        out[name] = value
    return out


def effective(given: Mapping[str, bool]) -> dict[str, bool]:
    """Every gate's value: AllAlpha and AllBeta under what is named itself."""
    out = {}
    for name, (stage, default) in GATES.items():
        group = {"ALPHA": "AllAlpha", "BETA": "AllBeta"}.get(stage)
        value = given.get(group, default) if group and group in given and name not in _LOCKED else default
        out[name] = given.get(name, value)
    return out


def shown() -> list[str]:
    """Every gate that can be set, as --help lists them: what is done, or on its way out, is left out."""
    return [f"{name}=true|false ({stage} - default={str(default).lower()})" for name, (stage, default) in sorted(GATES.items())
            if stage in ("ALPHA", "BETA")]


def record(given: Mapping[str, bool]) -> None:
    """Shows them in /metrics."""
    for name, value in effective(given).items():
        ENABLED.set(1 if value else 0, name, GATES[name][0])
