"""Unmodified kubectls of three minor versions, through the same scripts: what they print is upstream's.

The newest goes through all of them, the older ones through those in which kubectl itself has most to do.
"""

import os
from pathlib import Path

import pytest
from tests.clients import install, transcripts
from tests.clients.serving import Program

SERVED = {"nodes": 1}
SCRIPTS = sorted(Path(__file__).with_name("kubectl").glob("*.txt"))
ALL = {"1.35": ("apply", "definitions", "serverside"), "1.36": ("nodes", "serverside", "workloads"),
       "1.37": tuple(script.stem for script in SCRIPTS)}


@pytest.mark.parametrize(("script", "version"), [
    pytest.param(script, version, id=f"{script.stem}-{version}")
    for script in SCRIPTS for version in install.KUBECTLS if script.stem in ALL[version]])
def test_what_kubectl_says(served, namespace, tmp_path, version, script):
    kubectl = Program(install.kubectl(version), served.config, tmp_path, namespace)
    # What commands need that is no file of theirs: editors for `edit`, colourless diffs.
    kubectl.environment = lambda: {**Program.environment(kubectl), "KUBE_EDITOR": "sed -i s/before/after/",
                                   "TMPDIR": "/tmp", "KUBECTL_EXTERNAL_DIFF": "diff -u -N"}
    try:
        transcripts.play(script, kubectl, version,
                         rewrite=bool(os.environ.get("KUBECTL_REWRITE")) and version == install.KUBECTLS[-1])
    finally:
        if script.stem == "nodes":  # the others need one that takes pods
            served.do(served.cluster.client.patch("nodes", "node-0", {"spec": {"unschedulable": None, "taints": None}}))
