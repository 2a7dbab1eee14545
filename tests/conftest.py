"""For all tests: the plugin that users get, and a guard: whoever changes an object of the API server's cache is caught
in the act. What tests, the clients they try and the programs they start put into the temporary directory goes with the run."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from kubewheel.apiserver import frozen
from kubewheel.testing import plugin

frozen.guard(True)

TEMPORARY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """An installed package brings its plugin by an entry point; a checkout on PYTHONPATH does not."""
    if not config.pluginmanager.hasplugin("kubewheel"):
        config.pluginmanager.register(plugin, "kubewheel")
    # tmp_path stays where pytest keeps it, so that a failed test's files can be looked at.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    config.stash[TEMPORARY] = Path(tempfile.mkdtemp(prefix="kwt-"))  # short: sockets are made in it
    os.environ["TMPDIR"] = tempfile.tempdir = str(config.stash[TEMPORARY])


def pytest_unconfigure(config: pytest.Config) -> None:
    directory = config.stash[TEMPORARY]
    shutil.rmtree(directory, ignore_errors=True)  # what still writes there is a child that was killed
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory.parent)
