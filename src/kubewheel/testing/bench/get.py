"""GET of one pod."""

from __future__ import annotations

from itertools import repeat

import uvloop

from kubewheel.testing.bench import child, load, objects
from kubewheel.testing.bench.figures import Aim, Figure

PODS = "/api/v1/namespaces/default/pods"


def run() -> list[Figure]:
    with child.served() as server:
        uvloop.run(load.all_of(server, [load.request("POST", PODS, objects.pod("one"))], connections=1))
        asked = load.request("GET", f"{PODS}/one")
        return load.at_each_width("GET pod", server, 6000, lambda n: repeat(asked, n), aim=Aim(">=", 10_000))
