"""What the tests on a real containerd need of the host, installed as `up` installs it."""

import pytest

from kubewheel.run import host


@pytest.fixture(scope="session")
def host_packages():
    host.require_root()
    if missing := host.missing_packages():
        host.install(missing, print)
