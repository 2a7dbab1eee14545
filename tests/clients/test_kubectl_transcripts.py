"""Unmodified kubectls of three minor versions, each through the same scripts: what it prints is upstream's."""

import os
from pathlib import Path

import pytest
from tests.clients import install, transcripts
from tests.clients.serving import Program

SERVED = {"nodes": 1}
SCRIPTS = sorted(Path(__file__).with_name("kubectl").glob("*.txt"))


@pytest.mark.parametrize("version", install.KUBECTLS)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_what_kubectl_says(served, namespace, tmp_path, version, script):
    kubectl = Program(install.kubectl(version), served.config, tmp_path, namespace)
    # What commands need that is no file of theirs: editors for `edit`, colourless diffs.
    kubectl.environment = lambda: {**Program.environment(kubectl), "KUBE_EDITOR": "sed -i s/before/after/",
                                   "TMPDIR": "/tmp", "KUBECTL_EXTERNAL_DIFF": "diff -u -N"}
    transcripts.play(script, kubectl, version, rewrite=bool(os.environ.get("KUBECTL_REWRITE")) and version == install.KUBECTLS[-1])
