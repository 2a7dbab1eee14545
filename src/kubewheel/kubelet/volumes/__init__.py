"""Volumes, one kind a file; `PLUGINS` is the list, in the order a volume's source is looked up.

A plugin module has: SOURCE (the key in the volume's spec), DIRECTORY (upstream's plugin directory name, "" for none),
READ_ONLY, `async mount(request) -> str` (the host path; called again to bring it up to date) and REFRESHED (whether
its content follows objects of the API). Called by: volumes/manager.py.
"""

from __future__ import annotations

from types import ModuleType

from kubewheel.kubelet.volumes import (
    claim,
    config_map,
    downward_api,
    empty_dir,
    host_path,
    projected,
    secret,
)

PLUGINS: tuple[ModuleType, ...] = (empty_dir, host_path, config_map, secret, downward_api, projected,
                                   claim, claim.ephemeral)
BY_SOURCE: dict[str, ModuleType] = {plugin.SOURCE: plugin for plugin in PLUGINS}
