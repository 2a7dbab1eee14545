"""What every pod worker shares.

Called by: kubelet.py (makes it), pod_worker.py, killing.py, starting.py, server/.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.client.client import Client
from kubewheel.client.events import Recorder
from kubewheel.kubelet.cgroups import Cgroups
from kubewheel.kubelet.cri import Cri
from kubewheel.kubelet.images import Images
from kubewheel.kubelet.objects import WatchedObjects
from kubewheel.kubelet.options import Options
from kubewheel.kubelet.pleg import Pleg
from kubewheel.kubelet.probes import Probes
from kubewheel.kubelet.status_manager import StatusManager
from kubewheel.kubelet.volumes.manager import Volumes
from kubewheel.lib.clock import Clock

Object = dict[str, Any]


@dataclass(slots=True)
class NodeFacts:
    """What the node has; node_status.py fills it before the first pod."""

    host_ips: tuple[str, ...] = ()
    memory_capacity: int = 0
    allocatable: Object = field(default_factory=dict)
    network_ready: bool = True
    network_message: str = ""


@dataclass(slots=True)
class Deps:
    client: Client
    cri: Cri
    pleg: Pleg
    statuses: StatusManager
    volumes: Volumes
    objects: WatchedObjects
    images: Images
    probes: Probes
    cgroups: Cgroups
    events: Recorder
    clock: Clock
    random: random.Random
    options: Options
    node: NodeFacts
    services: Callable[[str], list[Object]]  # namespace -> its Services and default/kubernetes
    others: Callable[[str], list[Object]]  # uid -> all other pods that hold resources here, as granted
    admit: Callable[[Object], tuple[str, str] | None]  # (reason, message) of a refusal
