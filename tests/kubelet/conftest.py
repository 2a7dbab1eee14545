"""What the tests on a real containerd need of the host, installed as `up` installs it."""

import subprocess

import pytest

from kubewheel.run import host, teardown


@pytest.fixture(scope="session")
def host_packages():
    host.require_root()
    if missing := host.missing_packages():
        host.install(missing, print)


@pytest.fixture(autouse=True)
def nothing_stays_mounted(tmp_path):
    """Volumes of a test that failed half way: pytest could not remove its directory with them in it."""
    yield
    for path in teardown.mounts_below(tmp_path):
        subprocess.run(["umount", "-l", path], check=False)
