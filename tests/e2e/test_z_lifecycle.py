"""Crashes and restarts: containers go on, nothing acknowledged is lost, services keep answering. Runs last."""

import json
import os
import signal
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest
from tests.e2e.support import IMAGE, SLEEP, kw, pod, web

from kubewheel.run import images

PIDS = Path("/run/kubewheel/pids")


def kill(*names):
    """SIGKILL to our own processes, by the pid files of the supervisor."""
    for name in names:
        os.kill(json.loads((PIDS / f"{name}.json").read_text())["pid"], signal.SIGKILL)


def state(kubectl):
    """Container ids and restart counts of all pods."""
    return {(p["metadata"]["name"], c["name"]): (c.get("containerID"), c["restartCount"])
            for p in kubectl.json("get", "pods")["items"] for c in p["status"].get("containerStatuses", ())}


@pytest.fixture
def served(kubectl):
    kubectl.apply(web("web", 2), pod("alone", *SLEEP))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl.ready("alone")
    kubectl("expose", "deployment/web", "--port=80", "--target-port=8080")
    url = f"http://{kubectl.json('get', 'service', 'web')['spec']['clusterIP']}/"

    def answers():
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return answer.read().decode().startswith("web-")
        except OSError:
            return False

    kubectl.until(answers, what="the service answers")
    return answers


@pytest.mark.parametrize("victims", [("control-plane",), ("node",), ("control-plane", "node")], ids="+".join)
def test_killed_processes_come_back_and_adopt(kubectl, served, victims):
    before = state(kubectl)
    written = []
    kubectl("create", "configmap", "before")
    kill(*victims)
    assert served(), "the service answers while its controllers are dead"
    kubectl.until(lambda: kubectl.run("get", "--raw", "/readyz").returncode == 0, what="the API server is back")
    for number in range(5):
        kubectl("create", "configmap", f"c{number}")
        written.append(f"c{number}")
    names = {c["metadata"]["name"] for c in kubectl.json("get", "configmaps")["items"]}
    assert {"before", *written} <= names
    kubectl.apply(pod("later", *SLEEP))
    kubectl.ready("later", timeout=90)
    assert served()
    after = state(kubectl)
    assert {k: after[k] for k in before} == before
    assert kubectl("exec", "alone", "--", "echo", "hi").strip() == "hi"


def test_writes_survive_kills_at_any_moment(kubectl):
    """Names acknowledged while the control plane is killed again and again are all there at the end."""
    acknowledged = []
    for round_ in range(3):
        deadline = time.monotonic() + 1.0
        number = 0
        while time.monotonic() < deadline:
            name = f"w{round_}-{number}"
            if kubectl.run("create", "configmap", name, "--request-timeout=2s").returncode == 0:
                acknowledged.append(name)
            number += 1
        kill("control-plane")
        kubectl.until(lambda: kubectl.run("get", "--raw", "/readyz").returncode == 0, what="the API server is back")
    names = {c["metadata"]["name"] for c in kubectl.json("get", "configmaps")["items"]}
    assert len(acknowledged) > 3 and set(acknowledged) <= names


def test_up_again_changes_nothing(kubectl, cluster, served):
    before = state(kubectl)
    kw("up", env={**os.environ, "KUBECONFIG": str(cluster)})
    assert state(kubectl) == before


def test_images(kubectl, tmp_path):
    archive = tmp_path / "image.tar"
    images.busybox_image(archive, names=("kubewheel.test/other:2",))
    assert tarfile.is_tarfile(archive)
    kw("image", "import", str(archive))
    assert "kubewheel.test/other:2" in kw("image", "ls").stdout
    kubectl.apply(pod("other", *SLEEP, image="kubewheel.test/other:2"))
    kubectl.ready("other")
    kubectl("delete", "pod", "other", "--now")
    kw("image", "rm", "kubewheel.test/other:2")
    assert "kubewheel.test/other:2" not in kw("image", "ls").stdout
    assert IMAGE in kw("image", "ls").stdout


def test_down_and_up_brings_all_back(kubectl, cluster, served):
    environment = {**os.environ, "KUBECONFIG": str(cluster)}
    done = kw("down", env=environment)
    assert "left" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert not Path("/sys/class/net/kubewheel0").exists() and not PIDS.exists()
    kw("up", env=environment)
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")
    kubectl.ready("alone", timeout=90)
    kubectl.until(served, what="the service answers again")
