"""@kubernetes/client-node: typed calls, the four kinds of patch, its informer, its watch, its objects of any kind."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.clients import install
from tests.clients.serving import PATIENCE

SCRIPT = Path(__file__).with_name("zoo.mjs")


def test_what_the_javascript_client_does(served, namespace, tmp_path):
    # Beside its modules, where node looks for them.
    shutil.copy(SCRIPT, tmp_path / "zoo.mjs")
    (tmp_path / "node_modules").symlink_to(install.installed() / "node_modules")
    done = subprocess.run([install.node(), "--no-warnings", str(tmp_path / "zoo.mjs"), namespace], capture_output=True, text=True,
                          timeout=PATIENCE, check=False, cwd=tmp_path,
                          env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": served.config})
    assert done.returncode == 0, done.stdout + done.stderr
    said = {line["step"]: line["what"] for line in map(json.loads, done.stdout.splitlines())}
    assert said == {
        "version": "v1.37.0",
        "created": ["RollingUpdate", True],
        "errors": [[404, "NotFound"], [422, "Invalid"]],
        "patches": [2, {"a": "b"}, ["side", "main"], True],
        "informer": [[["add", "before", "1"], ["add", "one", "1"], ["update", "one", "2"], ["delete", "one", "2"]], ["before"]],
        "objects": [{"a": "2"}, {"a": "2", "b": "1"}, 1, [404, "NotFound"]],
        "watch": ["in order", [["ADDED", "s"], ["DELETED", "s"]], {"a": "Yg=="}],
    }
