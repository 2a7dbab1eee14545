"""What a volume plugin is given, and what it raises.

Called by: every file of volumes/.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubewheel.kubelet.options import Options
from kubewheel.lib.clock import Clock

Object = dict[str, Any]


class MountError(Exception):
    """The volume cannot be set up now (event FailedMount); it is tried again."""


@dataclass(slots=True)
class Request:
    pod: Object
    volume: Object  # the whole entry of spec.volumes
    source: Object  # its source, e.g. volume["configMap"]
    directory: str  # where this plugin keeps the volume on the host; "" for plugins without one
    options: Options
    clock: Clock
    random: random.Random
    allocatable: Object
    # (resource, name, namespace) -> object or None where there is none
    fetch: Callable[[str, str, str | None], Awaitable[Object | None]]
    # (audience, expiration seconds) -> token of the pod's service account
    token: Callable[[str, int], Awaitable[str]]

    @property
    def namespace(self) -> str:
        return self.pod["metadata"]["namespace"]

    @property
    def fs_group(self) -> int | None:
        return (self.pod["spec"].get("securityContext") or {}).get("fsGroup")

    @property
    def fs_user(self) -> int | None:
        """The one user all containers run as, or None."""
        users = set()
        spec = self.pod["spec"]
        base = (spec.get("securityContext") or {}).get("runAsUser")
        for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
            users.add((container.get("securityContext") or {}).get("runAsUser", base))
        return users.pop() if len(users) == 1 else None
