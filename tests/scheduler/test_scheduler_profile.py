"""KubeSchedulerConfiguration, and plugins from a file."""

import pytest
from scheduling import decide, node, pod, profile

from kubewheel.scheduler.plugins.base import Handle, NoObjects
from kubewheel.scheduler.profile import ConfigError, load

PLUGIN = '''
from kubewheel.scheduler.plugins.base import Plugin

class OnlyEven(Plugin):
    def filter_node(self, pod, node):
        return None if int(node.name[1:]) % 2 == 0 else self.args["words"]

    def score_node(self, pod, node):
        return 100.0 if node.name == "n4" else 0.0
'''


def test_defaults():
    made = profile()
    assert [p.name for p in made.at("filter")] == [
        "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
        "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "PodTopologySpread",
        "InterPodAffinity"]
    assert {p.name: made.weights[p.name] for p in made.at("score")} == {
        "TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1, "PodTopologySpread": 2, "InterPodAffinity": 2,
        "NodeResourcesBalancedAllocation": 1, "ImageLocality": 1}


def test_a_plugin_from_a_file(tmp_path):
    path = tmp_path / "even.py"
    path.write_text(PLUGIN)
    name = f"{path}:OnlyEven"
    config = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration", "profiles": [{
        "plugins": {"multiPoint": {"enabled": [{"name": name, "weight": 50}]}},
        "pluginConfig": [{"name": name, "args": {"words": "node(s) were odd"}}]}]}
    nodes = [node(f"n{i}") for i in range(6)]
    assert decide(pod("p"), nodes, config=config).node == "n4"
    assert decide(pod("p"), [node("n1")], config=config).message() == "0/1 nodes are available: 1 node(s) were odd."


def test_off_at_one_point_only():
    config = {"profiles": [{"plugins": {"filter": {"disabled": [{"name": "TaintToleration"}]}}}]}
    tainted = node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    assert decide(pod("p"), [tainted], config=config).node == "a"
    assert "TaintToleration" in [p.name for p in profile(config).at("score")]


@pytest.mark.parametrize("config, words", [
    ({"apiVersion": "kubescheduler.config.k8s.io/v1beta3"}, "v1beta3"),
    ({"profiles": [{"plugins": {"multiPoint": {"enabled": [{"name": "Nope"}]}}}]}, "Nope"),
    ({"profiles": [{}, {}]}, "duplicate"),
    ({"profiles": [{"plugins": {"filtre": {}}}]}, "filtre"),
])
def test_refused_by_name(config, words):
    with pytest.raises(ConfigError, match=words):
        load(config, Handle(NoObjects()))
