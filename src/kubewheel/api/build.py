"""What this build of kubewheel is: `/version`, metric kubernetes_build_info.

In: nothing but the interpreter. Out: version.Info as JSON. Called by: apiserver/extension/discovery, run/health_server.
"""

from __future__ import annotations

import platform
import sys

from kubewheel import KUBERNETES_VERSION
from kubewheel.api.resource import Object
from kubewheel.lib import metrics

RUNTIME = "python" + platform.python_version()  # where upstream shows Go's
_LABELS = ("build_date", "compiler", "git_commit", "git_tree_state", "git_version", "go_version", "major", "minor",
           "platform")
BUILD_INFO = metrics.REGISTRY.gauge(
    "kubernetes_build_info", "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version, git commit, "
    "git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is "
    "running.", *_LABELS)


def version() -> Object:
    """`/version`."""
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {"major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor,
            "minCompatibilityMajor": major, "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": KUBERNETES_VERSION, "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
            "goVersion": RUNTIME, "compiler": sys.implementation.name, "platform": f"{sys.platform}/{machine}"}


def record() -> None:
    """Shows it in /metrics."""
    info = version()
    BUILD_INFO.set(1, info["buildDate"], info["compiler"], info["gitCommit"], info["gitTreeState"], info["gitVersion"],
                   info["goVersion"], info["major"], info["minor"], info["platform"])
