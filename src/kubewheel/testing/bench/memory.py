"""Memory of a control-plane process: API server on SQLite, controllers, scheduler, HTTPS; nothing going on."""

from __future__ import annotations

import time

from kubewheel.testing.bench import child, processes
from kubewheel.testing.bench.figures import Aim, Figure


def run() -> list[Figure]:
    with child.served(store="sqlite", controllers="*", scheduler=True) as server:
        time.sleep(5)  # controllers have filled their caches
        return [Figure("control plane idle", processes.rss_mb(server.pid), "MB", aim=Aim("<", 200))]
