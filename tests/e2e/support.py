"""What the end-to-end tests share: kw, kubectl, pods and deployments."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path

from kubewheel.run import images, system_image

ROOT = Path(__file__).resolve().parents[2]
IMAGE = images.BUSYBOX_NAMES[0]


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


def client_pod(name="client"):
    """A pod with a resolver that follows resolv.conf (busybox's static one cannot look names up): Python."""
    wait = "import signal, threading; signal.signal(15, lambda *_: exit()); threading.Event().wait()"
    return pod(name, "/usr/local/bin/python3", "-c", wait, image=system_image.NAME, container={"imagePullPolicy": "IfNotPresent"})


def fetch(kubectl, url, *, times=1, pod="client"):
    """Bodies of GETs made inside the client pod, one line each."""
    code = f"import urllib.request as u\nfor _ in range({times}): print(u.urlopen({url!r}, timeout=5).read().decode().strip())"
    return kubectl("exec", pod, "--", "/usr/local/bin/python3", "-c", code).split()
