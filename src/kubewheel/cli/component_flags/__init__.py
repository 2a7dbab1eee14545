"""Upstream's flags of each component: one file each, in upstream's named sections, with upstream's names and defaults.

TABLES are what is taken; ABSENT is what upstream v1.37 knows and is not here, with the reason: given, it is refused by
name instead of being taken silently. Called by: cli/components.
"""

from __future__ import annotations

from kubewheel.cli.component_flags import apiserver, controller_manager, kubelet, proxy, scheduler
from kubewheel.cli.flags import Flag

TABLES: dict[str, tuple[Flag, ...]] = {
    "apiserver": apiserver.FLAGS, "controller-manager": controller_manager.FLAGS, "scheduler": scheduler.FLAGS,
    "kubelet": kubelet.FLAGS, "proxy": proxy.FLAGS}
# verb -> flag -> why it is not here
ABSENT: dict[str, dict[str, str]] = {
    "apiserver": apiserver.ABSENT, "controller-manager": controller_manager.ABSENT, "scheduler": scheduler.ABSENT,
    "kubelet": kubelet.ABSENT, "proxy": proxy.ABSENT}
