import stat

import yaml

from kubewheel.lib import tls
from kubewheel.run import certificates, kubeconfigs


class At:
    def __init__(self, now=1_767_225_600.0):
        self.value = now

    def now(self):
        return self.value


def test_pki_is_made_once_and_mended_where_needed(tmp_path):
    clock = At()
    pki = certificates.ensure(tmp_path, hosts=["box"], ips=["192.0.2.1", "10.96.0.1"], clock=clock, node_name="box")
    assert {"ca", "front-proxy-ca", "apiserver", "kubelet", "admin", "sa"} <= set(pki.renewed)
    assert tls.subject_of(pki.pair("kubelet").certificate()) == tls.Subject("system:node:box", ("system:nodes",))
    dns, ips = tls.names_in(pki.pair("apiserver").certificate())
    assert {"kubernetes.default.svc.cluster.local", "box", "localhost"} <= dns
    assert {"192.0.2.1", "10.96.0.1", "127.0.0.1"} <= ips
    for path in tmp_path.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = certificates.ensure(tmp_path, hosts=["box"], ips=["10.96.0.1"], clock=clock, node_name="box")
    assert again.renewed == ()
    more = certificates.ensure(tmp_path, hosts=["other"], ips=["192.0.2.1", "10.96.0.1"], clock=clock, node_name="box")
    assert more.renewed == ("apiserver",)
    clock.value += 350 * 86400
    late = certificates.ensure(tmp_path, hosts=["other"], ips=["192.0.2.1"], clock=clock, node_name="box")
    assert "ca" not in late.renewed and "sa" not in late.renewed and "admin" in late.renewed


def test_server_and_client_meet(tmp_path):
    pki = certificates.ensure(tmp_path, clock=At())
    context = tls.server_context(pki.cert("apiserver"), pki.key("apiserver"), client_ca=pki.ca)
    assert context.verify_mode.name == "CERT_OPTIONAL"
    tls.client_context(ca=pki.ca, cert_file=pki.cert("admin"), key_file=pki.key("admin"))


def test_our_context_comes_and_goes(tmp_path):
    path = tmp_path / "config"
    mine = {"apiVersion": "v1", "kind": "Config", "current-context": "work",
            "clusters": [{"name": "work", "cluster": {"server": "https://example"}}],
            "users": [{"name": "work", "user": {}}],
            "contexts": [{"name": "work", "context": {"cluster": "work", "user": "work"}}]}
    path.write_text(yaml.safe_dump(mine))
    for _ in range(2):
        kubeconfigs.merge_context(path, server="https://192.0.2.1:6443", ca=b"ca", cert=b"c", key=b"k")
    merged = yaml.safe_load(path.read_text())
    assert merged["current-context"] == "kubewheel"
    assert [c["name"] for c in merged["clusters"]] == ["work", "kubewheel"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kubeconfigs.remove_context(path)
    left = yaml.safe_load(path.read_text())
    assert left.pop("preferences") == {}
    assert left == mine


def test_component_kubeconfigs(tmp_path):
    pki = certificates.ensure(tmp_path / "pki", clock=At(), node_name="n1")
    files = kubeconfigs.write_all(tmp_path, pki, server="https://127.0.0.1:6443")
    config = kubeconfigs.load(files["kubelet.conf"])
    assert config["users"][0]["name"] == "system:node:n1"
    assert config["current-context"] == "system:node:n1@kubernetes"
