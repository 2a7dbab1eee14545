import tomllib

import pytest

from kubewheel.run import containerd, host
from kubewheel.run.settings import Settings


def test_only_what_is_missing_is_installed():
    assert "runc" not in host.missing_packages(lambda program: "/usr/bin/x")
    assert set(host.PACKAGES) - {"containernetworking-plugins"} <= set(host.missing_packages(lambda program: None))


def test_no_service_starts_while_packages_are_installed(tmp_path):
    policy = tmp_path / "policy-rc.d"
    with host.no_service_starts(policy):
        assert policy.stat().st_mode & 0o111
    assert not policy.exists()
    policy.write_text("theirs")
    with host.no_service_starts(policy):
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"


def test_cgroup_versions(tmp_path):
    with pytest.raises(host.HostError):
        host.cgroup_version(tmp_path)
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu").mkdir()
    assert host.cgroup_version(tmp_path) == 1
    (tmp_path / "cgroup.controllers").touch()
    assert host.cgroup_version(tmp_path) == 2


def test_the_containerd_config_is_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "d", run_dir=tmp_path / "r", log_dir=tmp_path / "l", node_ip="127.0.0.1")
    config = tomllib.loads(containerd.render_config(settings))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["version"] == 2
    assert config["root"].startswith(str(tmp_path)) and config["state"].startswith(str(tmp_path))
    assert cri["cni"]["conf_dir"].startswith(str(tmp_path)) and cri["sandbox_image"] == containerd.PAUSE_IMAGE
