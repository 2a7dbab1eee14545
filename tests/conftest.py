"""For all tests: the plugin that users get, and a guard: whoever changes an object of the API server's cache is caught
in the act."""

import pytest

from kubewheel.apiserver import frozen
from kubewheel.testing import plugin

frozen.guard(True)


def pytest_configure(config: pytest.Config) -> None:
    """An installed package brings its plugin by an entry point; a checkout on PYTHONPATH does not."""
    if not config.pluginmanager.hasplugin("kubewheel"):
        config.pluginmanager.register(plugin, "kubewheel")
