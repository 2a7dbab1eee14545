"""Each component as a process of its own, with upstream's flags: against our API server or upstream's.

In: options named as the flags (cli/component_flags). Out: runs until cancelled; Ended where it cannot start or go on.
Called by: cli/components. What a component is told is turned into values by pure functions; the rest is assembly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubewheel.run.alone import apiserver, controller_manager, kubelet, proxy, scheduler
from kubewheel.run.alone.common import Options
from kubewheel.run.ended import Ended

COMPONENTS: dict[str, Callable[[Options], Awaitable[None]]] = {
    "apiserver": apiserver.run, "controller-manager": controller_manager.run, "scheduler": scheduler.run,
    "kubelet": kubelet.run, "proxy": proxy.run,
}

__all__ = ["COMPONENTS", "Ended", "Options", "apiserver", "controller_manager", "kubelet", "proxy", "scheduler"]
