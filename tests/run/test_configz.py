"""/configz: settings in force, under the names of upstream's configuration."""

import dataclasses

import pytest

from kubewheel.cli import components
from kubewheel.kubelet.options import Options as KubeletOptions
from kubewheel.kubelet.server import configz as kubelet_configz
from kubewheel.run import config_files, configz
from kubewheel.run.alone import proxy
from kubewheel.scheduler import plugins


def test_the_controller_manager_shows_its_fields_as_go_names_them():
    options = components.parse("controller-manager", [
        "--concurrent-deployment-syncs=9", "--cluster-cidr=10.1.0.0/16", "--node-monitor-grace-period=1m", "--kubeconfig=/k"])
    found = configz.controller_manager(options)["kubecontrollermanager.config.k8s.io"]
    assert found["DeploymentController"] == {"ConcurrentDeploymentSyncs": 9}
    assert found["Generic"]["LeaderElection"] == {
        "LeaderElect": True, "LeaseDuration": "15s", "RenewDeadline": "10s", "RetryPeriod": "2s", "ResourceLock": "leases",
        "ResourceName": "kube-controller-manager", "ResourceNamespace": "kube-system"}
    assert found["Generic"]["ClientConnection"] == {
        "Kubeconfig": "/k", "ContentType": "application/vnd.kubernetes.protobuf", "QPS": 20.0, "Burst": 30}
    assert found["Generic"]["MinResyncPeriod"] == "12h0m0s"
    assert found["KubeCloudShared"]["ClusterCIDR"] == "10.1.0.0/16"
    assert found["NodeLifecycleController"]["NodeMonitorGracePeriod"] == "1m0s"


def test_the_scheduler_shows_a_versioned_object(tmp_path):
    options = components.parse("scheduler", ["--leader-elect=false"])
    found = configz.scheduler(options, None, plugins.DEFAULTS)["componentconfig"]
    assert (found["apiVersion"], found["kind"]) == ("kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration")
    assert found["leaderElection"]["leaderElect"] is False and found["leaderElection"]["leaseDuration"] == "15s"
    assert found["clientConnection"]["qps"] == 50.0 and found["podMaxBackoffSeconds"] == 10
    enabled = found["profiles"][0]["plugins"]["multiPoint"]["enabled"]
    assert {"name": "TaintToleration", "weight": 3} in enabled and {"name": "NodeName"} in enabled
    named = {"profiles": [{"schedulerName": "mine"}], "podInitialBackoffSeconds": 3}
    found = configz.scheduler(options, named, plugins.DEFAULTS)["componentconfig"]
    assert found["profiles"][0]["schedulerName"] == "mine" and found["podInitialBackoffSeconds"] == 3


def test_the_proxy_shows_what_is_in_force():
    options = components.parse("proxy", ["--cluster-cidr=10.1.0.0/16", "--kubeconfig=/k"])
    found = configz.proxy(options, proxy.proxy_values(options), node_name="n", periods={
        "sync_period": 30.0, "min_sync_period": 1.0})["kubeproxy.config.k8s.io"]
    assert (found["apiVersion"], found["kind"]) == ("kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration")
    assert found["nftables"] == {"syncPeriod": "30s", "minSyncPeriod": "1s"} and found["mode"] == "nftables"
    assert found["clientConnection"]["kubeconfig"] == "/k" and found["hostnameOverride"] == "n"
    assert found["configSyncPeriod"] == "15m0s" and found["clusterCIDR"] == "10.1.0.0/16"


def test_the_kubelet_shows_its_configuration():
    options = KubeletOptions(node_name="n", cluster_dns=("10.96.0.10",), healthz_port=-1, registry_qps=0)
    found = kubelet_configz.document(options)["kubeletconfig"]
    assert (found["apiVersion"], found["kind"]) == ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration")
    assert found["clusterDNS"] == ("10.96.0.10",) and found["healthzPort"] == 0 and found["registryPullQPS"] == 0
    assert found["authentication"] == {"webhook": {"enabled": True}, "anonymous": {"enabled": False}}
    assert found["containerLogMaxSize"] == "10Mi" and found["streamingConnectionIdleTimeout"] == "4h0m0s"
    assert found["evictionHard"]["memory.available"] == "100Mi" and "tlsCertFile" not in found


def test_the_kubelets_names_are_those_of_its_file():
    """Whoever writes what /configz shows to a file gets the same kubelet."""
    shown = {**kubelet_configz.PLAIN, **kubelet_configz.DURATIONS, "maxParallelImagePulls": "max_parallel_image_pulls",
             "containerLogMaxSize": "container_log_max_size"}
    assert {name: option for name, (option, _) in config_files.KUBELET.items()} == shown
    assert set(shown.values()) <= {f.name for f in dataclasses.fields(KubeletOptions)}


@pytest.mark.parametrize("flag", configz.MANAGER.values())
def test_flags_of_the_controller_manager_are_there(flag):
    assert hasattr(components.parse("controller-manager", []), flag.removeprefix("+"))
