"""What a scheduler plugin is. Filter and score see all asked nodes at once; or one at a time, for plugins of users.

In: a PodInfo, the Table, row numbers. Out: codes (0: the node fits) and what they mean; scores; and, at the edges of
binding, awaited calls. Called by: decide, preempt, loop. See docs/scheduler-plugins.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kubewheel.api.resource import Object
from kubewheel.scheduler.match import Taint
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

Codes = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
MAX_SCORE = 100.0


class Objects(Protocol):
    """Reads of other objects (claims, volumes, classes, Services …), from caches or from a test's dict."""

    def get(self, resource: str, namespace: str | None, name: str) -> Object | None: ...

    def list(self, resource: str, namespace: str | None = None) -> list[Object]: ...


class NoObjects:
    def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        return None

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return []


@dataclass(slots=True)
class Handle:
    """What a plugin may hold. `client` is None where only decisions are made."""

    objects: Objects
    client: Any = None  # kubewheel.client.client.Client
    clock: Any = None
    random: Any = None


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, for `filter_node` and `score_node`."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, int]  # cpu in milli, the rest in units
    requested: Mapping[str, int]
    pods: tuple[PodInfo, ...]
    node: Object


def node_view(table: Table, row: int) -> NodeView:
    node = table.nodes[row] or {}
    return NodeView(
        name=table.names[row], labels=node.get("metadata", {}).get("labels") or {},
        taints=table.taint_sets[int(table.taints[row])],
        allocatable={r: int(table.alloc[row, c]) for r, c in table.resources.items()},
        requested={r: int(table.used[row, c]) for r, c in table.resources.items()},
        pods=tuple(table.pods[row].values()), node=node)


class Plugin:
    """Override what the plugin does; all else does nothing. Names are upstream's.

    Users: override `filter_node(pod, node)` (a reason, or None if the node fits) and `score_node(pod, node)`
    (0 … 100). For many nodes override `filter` and `score` with NumPy instead."""

    name = ""
    # True promises: for one pod, a node's result depends on that node's row alone, so it may be kept until the row
    # changes. Plugins that look at other nodes' pods or at other objects leave it False and are asked every time.
    is_local = False
    # Cluster events after which a pod this plugin turned away may fit: see queue.EVENTS. "*" is any.
    events: frozenset[str] = frozenset({"*"})
    normalize_how = ""  # "" scores are final; "up" scale to 0…100; "down" the same, reversed

    def __init__(self, args: Mapping[str, Any] | None = None, handle: Handle | None = None) -> None:
        self.args = dict(args or {})
        self.handle = handle or Handle(NoObjects())
        self._messages: list[str] = [""]

    def queue(self, pod: PodInfo) -> str | None:
        """PreEnqueue: why the pod may not even be looked at, or None."""
        return None

    def applies(self, pod: PodInfo, table: Table) -> bool:
        """False skips the plugin for this pod (it would change nothing)."""
        return True

    def prefilter(self, pod: PodInfo, table: Table) -> str | None:
        """Why no node at all will do, or None."""
        return None

    def filter(self, pod: PodInfo, table: Table, rows: Rows) -> Codes | None:
        """A code for each of `rows`, 0 where the node fits; None: all fit. `explain` puts codes into words."""
        if type(self).filter_node is Plugin.filter_node:
            return None
        return np.array([self._code(self.filter_node(pod, node_view(table, int(r)))) for r in rows], np.int64)

    def explain(self, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return (self._messages[code],)

    def is_unresolvable(self, code: int) -> bool:
        """True: taking pods away from the node would not help."""
        return False

    def score(self, pod: PodInfo, table: Table, rows: Rows) -> Scores | None:
        """One number for each of `rows`; None: no opinion."""
        if type(self).score_node is Plugin.score_node:
            return None
        return np.array([self.score_node(pod, node_view(table, int(r))) for r in rows], np.float64)

    def normalize(self, scores: Scores) -> Scores:
        """The scores of the fitting nodes, brought to 0 … 100."""
        if not self.normalize_how:
            return scores
        top = scores.max(initial=0.0)
        if top <= 0:
            return np.full_like(scores, MAX_SCORE if self.normalize_how == "down" else 0.0)
        scaled = np.floor(scores * MAX_SCORE / top)
        return MAX_SCORE - scaled if self.normalize_how == "down" else scaled

    def filter_node(self, pod: PodInfo, node: NodeView) -> str | None:
        return None

    def score_node(self, pod: PodInfo, node: NodeView) -> float:
        return 0.0

    # -- around binding; the loop awaits these ------------------------------------------------------------------
    def reserve(self, pod: PodInfo, node: str) -> str | None:
        """Takes what the pod will need on the node. A text refuses it."""
        return None

    def unreserve(self, pod: PodInfo, node: str) -> None:
        """Undoes `reserve`; must not fail."""

    async def permit(self, pod: PodInfo, node: str) -> str | None:
        """May wait. A text refuses the pod."""
        return None

    async def prebind(self, pod: PodInfo, node: str) -> str | None:
        """Work that must be done before the pod is bound (volumes). A text refuses the pod."""
        return None

    async def bind(self, pod: PodInfo, node: str) -> bool:
        """True: bound by this plugin; False: let the next one do it."""
        return False

    async def postbind(self, pod: PodInfo, node: str) -> None:
        """Told of a success."""

    def _code(self, reason: str | None) -> int:
        if reason is None:
            return 0
        if reason not in self._messages:
            self._messages.append(reason)
        return self._messages.index(reason)
