"""Flags of kube-scheduler. Called by: component_flags."""

from __future__ import annotations

from kubewheel.cli.component_flags import common
from kubewheel.cli.flags import Flag, grouped, without_effect

FLAGS = (
    *grouped("Misc", Flag("config", help="KubeSchedulerConfiguration file (kubescheduler.config.k8s.io/v1)"),
             Flag("master", help="address of the API server, overrides the kubeconfig's")),
    *common.secure_serving(10259, "", "port of /healthz and /metrics; 0 off"),
    *common.DELEGATED,
    *grouped("Deprecated", common.PROFILING,
             Flag("kubeconfig", help="path to the kubeconfig of the API server; none: the pod's service account"),
             *without_effect(Flag("kube-api-burst", "int", 100), Flag("kube-api-qps", "float", 50.0)), *common.CLIENT_LIMITS),
    *common.election("kube-scheduler"),
    *grouped("Feature gate", common.GATES),
    *common.LOG_FLAGS,
)
ABSENT = common.absent(
    *common.SERVING_ABSENT, *common.COMMON_ABSENT, *common.DELEGATED_ABSENT,
    ("the configuration is read, not written", "write-config-to"),
    ("pods wait as long as nothing changes", "pod-max-in-unschedulable-pods-duration"))
