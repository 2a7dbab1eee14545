"""The plugin under test, also where the package is not installed (its entry point loads it otherwise)."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("kubewheel"):
        config.pluginmanager.import_plugin("kubewheel.testing.plugin")
