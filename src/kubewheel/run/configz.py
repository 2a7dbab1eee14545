"""/configz of the scheduler, the controller manager and the proxy: their settings in force. Pure.

In: options named as the flags. Out: JSON under upstream's names. Called by: run/alone.
The scheduler and the proxy show the object of their config file, with its version; the controller manager has no such
file, and shows its fields under the names that they have in Go.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from kubewheel.api import durations
from kubewheel.lib import nested

Json = dict[str, Any]
_LEADER = {"leaderElect": "leader_elect", "leaseDuration": "leader_elect_lease_duration",
           "renewDeadline": "leader_elect_renew_deadline", "retryPeriod": "leader_elect_retry_period",
           "resourceLock": "leader_elect_resource_lock", "resourceName": "leader_elect_resource_name",
           "resourceNamespace": "leader_elect_resource_namespace"}
_CLIENT = {"kubeconfig": "kubeconfig", "contentType": "kube_api_content_type", "qps": "kube_api_qps",
           "burst": "kube_api_burst"}
# Field -> flag; + stands before a duration.
_MANAGER = """
Generic.Address bind_address  Generic.MinResyncPeriod +min_resync_period  Generic.Controllers controllers
Generic.ClientConnection.Kubeconfig kubeconfig  Generic.ClientConnection.ContentType kube_api_content_type
Generic.ClientConnection.QPS kube_api_qps  Generic.ClientConnection.Burst kube_api_burst
Generic.LeaderElection.LeaderElect leader_elect  Generic.LeaderElection.LeaseDuration +leader_elect_lease_duration
Generic.LeaderElection.RenewDeadline +leader_elect_renew_deadline
Generic.LeaderElection.RetryPeriod +leader_elect_retry_period
Generic.LeaderElection.ResourceLock leader_elect_resource_lock
Generic.LeaderElection.ResourceName leader_elect_resource_name
Generic.LeaderElection.ResourceNamespace leader_elect_resource_namespace
Generic.Debugging.EnableProfiling profiling
KubeCloudShared.UseServiceAccountCredentials use_service_account_credentials
KubeCloudShared.NodeMonitorPeriod +node_monitor_period  KubeCloudShared.ClusterName cluster_name
KubeCloudShared.ClusterCIDR cluster_cidr  KubeCloudShared.AllocateNodeCIDRs allocate_node_cidrs
KubeCloudShared.CIDRAllocatorType cidr_allocator_type  KubeCloudShared.ConfigureCloudRoutes configure_cloud_routes
AttachDetachController.ReconcilerSyncLoopPeriod +attach_detach_reconcile_sync_period
CSRSigningController.ClusterSigningCertFile cluster_signing_cert_file
CSRSigningController.ClusterSigningKeyFile cluster_signing_key_file
CSRSigningController.ClusterSigningDuration +cluster_signing_duration
DaemonSetController.ConcurrentDaemonSetSyncs concurrent_daemonset_syncs
DeploymentController.ConcurrentDeploymentSyncs concurrent_deployment_syncs
StatefulSetController.ConcurrentStatefulSetSyncs concurrent_statefulset_syncs
EndpointController.ConcurrentEndpointSyncs concurrent_endpoint_syncs
EndpointSliceController.ConcurrentServiceEndpointSyncs concurrent_service_endpoint_syncs
EndpointSliceController.MaxEndpointsPerSlice max_endpoints_per_slice
EndpointSliceMirroringController.MirroringMaxEndpointsPerSubset mirroring_max_endpoints_per_subset
GarbageCollectorController.EnableGarbageCollector enable_garbage_collector
GarbageCollectorController.ConcurrentGCSyncs concurrent_gc_syncs
HPAController.HorizontalPodAutoscalerSyncPeriod +horizontal_pod_autoscaler_sync_period
HPAController.HorizontalPodAutoscalerTolerance horizontal_pod_autoscaler_tolerance
HPAController.HorizontalPodAutoscalerDownscaleStabilizationWindow +horizontal_pod_autoscaler_downscale_stabilization
HPAController.HorizontalPodAutoscalerCPUInitializationPeriod +horizontal_pod_autoscaler_cpu_initialization_period
HPAController.HorizontalPodAutoscalerInitialReadinessDelay +horizontal_pod_autoscaler_initial_readiness_delay
JobController.ConcurrentJobSyncs concurrent_job_syncs  CronJobController.ConcurrentCronJobSyncs concurrent_cron_job_syncs
NamespaceController.NamespaceSyncPeriod +namespace_sync_period
NamespaceController.ConcurrentNamespaceSyncs concurrent_namespace_syncs
NodeIPAMController.ServiceCIDR service_cluster_ip_range  NodeIPAMController.NodeCIDRMaskSize node_cidr_mask_size
NodeLifecycleController.NodeEvictionRate node_eviction_rate
NodeLifecycleController.SecondaryNodeEvictionRate secondary_node_eviction_rate
NodeLifecycleController.NodeStartupGracePeriod +node_startup_grace_period
NodeLifecycleController.NodeMonitorGracePeriod +node_monitor_grace_period
NodeLifecycleController.LargeClusterSizeThreshold large_cluster_size_threshold
NodeLifecycleController.UnhealthyZoneThreshold unhealthy_zone_threshold
PersistentVolumeBinderController.PVClaimBinderSyncPeriod +pvclaimbinder_sync_period
PodGCController.TerminatedPodGCThreshold terminated_pod_gc_threshold
ReplicaSetController.ConcurrentRSSyncs concurrent_replicaset_syncs
ReplicationController.ConcurrentRCSyncs concurrent_rc_syncs
ResourceQuotaController.ResourceQuotaSyncPeriod +resource_quota_sync_period
ResourceQuotaController.ConcurrentResourceQuotaSyncs concurrent_resource_quota_syncs
SAController.ServiceAccountKeyFile service_account_private_key_file
SAController.ConcurrentSATokenSyncs concurrent_serviceaccount_token_syncs  SAController.RootCAFile root_ca_file
TTLAfterFinishedController.ConcurrentTTLSyncs concurrent_ttl_after_finished_syncs
""".split()
MANAGER = dict(zip(_MANAGER[::2], _MANAGER[1::2], strict=True))


def controller_manager(options: argparse.Namespace) -> Json:
    found = {field: durations.go(getattr(options, flag[1:])) if flag.startswith("+") else getattr(options, flag)
             for field, flag in MANAGER.items()}
    return {"kubecontrollermanager.config.k8s.io": nested.unflattened(found)}


def scheduler(options: argparse.Namespace, document: Json | None, plugins: Mapping[str, float]) -> Json:
    """`document`: what the file says beside the flags' fields; `plugins`: those of the default profile, and their
    weights."""
    told = document or {}
    enabled = [{"name": name, **({"weight": int(weight)} if weight != 1 else {})} for name, weight in plugins.items()]
    profiles = told.get("profiles") or [{"schedulerName": "default-scheduler"}]
    return {"componentconfig": {
        "kind": "KubeSchedulerConfiguration", "apiVersion": "kubescheduler.config.k8s.io/v1",
        "leaderElection": {field: _shown(getattr(options, flag)) for field, flag in _LEADER.items()},
        "clientConnection": {"acceptContentTypes": "", **{f: getattr(options, flag) for f, flag in _CLIENT.items()}},
        "enableProfiling": options.profiling,
        "podInitialBackoffSeconds": told.get("podInitialBackoffSeconds", 1),
        "podMaxBackoffSeconds": told.get("podMaxBackoffSeconds", 10),
        "profiles": [{"plugins": {"multiPoint": {"enabled": enabled}}, **p} for p in profiles],
        **({"extenders": told["extenders"]} if told.get("extenders") else {})}}


def proxy(options: argparse.Namespace, values: Mapping[str, Any], *, node_name: str, periods: Mapping[str, float]) -> Json:
    """`values`: what is in force of file and flags; `periods`: seconds between syncs, by option."""
    return {"kubeproxy.config.k8s.io": {
        "kind": "KubeProxyConfiguration", "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "featureGates": dict(options.feature_gates),
        "clientConnection": {
            "acceptContentTypes": "", **{f: getattr(options, flag) for f, flag in _CLIENT.items()},
            "kubeconfig": values["kubeconfig"]},
        "hostnameOverride": node_name, "bindAddress": options.bind_address,
        "healthzBindAddress": values["healthz_bind_address"], "metricsBindAddress": values["metrics_bind_address"],
        "enableProfiling": options.profiling, "mode": values["proxy_mode"] or "nftables",
        "nftables": {"syncPeriod": durations.go(periods["sync_period"]),
                     "minSyncPeriod": durations.go(periods["min_sync_period"])},
        "clusterCIDR": values["cluster_cidr"], "configSyncPeriod": durations.go(options.config_sync_period)}}


def _shown(value: Any) -> Any:
    """Durations are the only numbers among those."""
    return durations.go(value) if isinstance(value, float | int) and not isinstance(value, bool) else value
