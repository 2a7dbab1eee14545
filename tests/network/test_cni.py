import json

from kubewheel.network import cni

NETWORK = cni.Network(pod_cidr="10.244.3.0/24")


def test_the_conflist_gives_addresses_of_the_nodes_range():
    bridge, portmap = cni.conflist(NETWORK)["plugins"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24", "gateway": "10.244.3.1"}]]
    assert bridge["hairpinMode"] and bridge["isGateway"] and not bridge["ipMasq"]
    assert portmap["capabilities"] == {"portMappings": True}
    json.dumps(cni.conflist(NETWORK))


def test_the_rules_replace_the_table_and_keep_cluster_addresses_home():
    rules = cni.ruleset(NETWORK).splitlines()
    assert rules[:2] == ["add table ip kubewheel", "delete table ip kubewheel"]
    assert '    ip saddr 10.244.0.0/16 oifname != { "lo", "kubewheel0" } drop' in rules
    assert "    ip daddr 10.96.0.0/16 drop" in rules
