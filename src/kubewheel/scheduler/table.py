"""All nodes as columns: one row a node, NumPy arrays by row. Kept up to date by node and pod events, one row at a time.

In: nodes and PodInfos as they come, change and go. Out: the columns that plugins read, and a journal of changed rows
for the score cache. Called by: loop (feeds it), decide and plugins (read it), preempt (takes pods out and back).

Invariants: a removed node's row has `alive` False and may be given to a new node; every change of a row appends it to
`journal`; a Counter's counts always equal a count from scratch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kubewheel.api.resource import Object
from kubewheel.scheduler import match
from kubewheel.scheduler.match import Requirement, Taint
from kubewheel.scheduler.podinfo import NodeTerm, PodInfo, PodTerm

Rows = npt.NDArray[np.int64]
FIRST_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")
JOURNAL_LIMIT = 200_000

GroupKey = tuple[str, frozenset[tuple[str, str]], bool]


@dataclass(slots=True, eq=False)
class Counter:
    """Per row, how many pods match. `matches(namespace, labels, terminating)`."""

    matches: Callable[[str, Mapping[str, str], bool], bool]
    counts: npt.NDArray[np.int64]
    total: int = 0


@dataclass(slots=True, eq=False)
class _Group:
    """Pods that no selector can tell apart."""

    labels: dict[str, str]
    rows: dict[int, int] = field(default_factory=dict)
    counters: list[Counter] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class TermCount:
    """Per row, how many pods carry one equal affinity term."""

    kind: str  # "anti" | "affinity" (required), "preferred"
    term: PodTerm
    rows: dict[int, int] = field(default_factory=dict)


class Table:
    def __init__(self) -> None:
        self.size = 0  # rows in use, dead ones included
        self.names: list[str] = []
        self.nodes: list[Object | None] = []
        self.index: dict[str, int] = {}
        self.resources: dict[str, int] = {name: i for i, name in enumerate(FIRST_RESOURCES)}
        self.version = 0  # rises when something changes that is not of one row (labels known, namespaces, volumes)
        self.journal: list[int] = []
        self.journal_start = 0
        self._room = 0
        self._free: list[int] = []
        self._alloc = np.zeros((0, 8), np.int64)
        self._used = np.zeros((0, 8), np.int64)
        self._nonzero = np.zeros((0, 2), np.int64)
        self._alive = np.zeros(0, bool)
        self._unschedulable = np.zeros(0, bool)
        self._taints = np.zeros(0, np.int32)
        self._labels: dict[str, npt.NDArray[np.int32]] = {}
        self.values: dict[str, dict[str, int]] = {}  # per label key: value -> id
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self.pods: list[dict[str, PodInfo]] = []  # by row, then UID
        self._where: dict[str, int] = {}  # UID -> row
        self._homeless: dict[str, dict[str, PodInfo]] = defaultdict(dict)  # node not (yet) known
        self.ports: dict[tuple[str, int], dict[int, list[str]]] = {}  # (protocol, port) -> row -> host IPs
        self.images: dict[str, dict[int, int]] = {}  # image name -> row -> bytes
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self._groups: dict[GroupKey, _Group] = {}
        self._counters: dict[Any, Counter] = {}
        self.terms: dict[tuple[str, PodTerm], TermCount] = {}
        self.priorities: dict[int, int] = {}  # priority -> pods placed
        self.nominated: dict[str, tuple[str, PodInfo]] = {}  # UID -> node, pod

    # -- columns ------------------------------------------------------------------------------------------------
    @property
    def alloc(self) -> npt.NDArray[np.int64]:
        return self._alloc[: self.size]

    @property
    def used(self) -> npt.NDArray[np.int64]:
        return self._used[: self.size]

    @property
    def nonzero(self) -> npt.NDArray[np.int64]:
        """Requested cpu and memory, with a default for pods that ask for nothing (for scoring only)."""
        return self._nonzero[: self.size]

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        return self._alive[: self.size]

    @property
    def unschedulable(self) -> npt.NDArray[np.bool_]:
        return self._unschedulable[: self.size]

    @property
    def taints(self) -> npt.NDArray[np.int32]:
        """Index into `taint_sets`."""
        return self._taints[: self.size]

    def __len__(self) -> int:
        return len(self.index)

    def all_rows(self) -> Rows:
        return np.arange(self.size, dtype=np.int64)

    def label(self, key: str) -> npt.NDArray[np.int32]:
        """Value ids of one label, -1 where a node has none. The column is made at the first asking."""
        column = self._labels.get(key)
        if column is None:
            column = self._labels[key] = np.full(self._room, -1, np.int32)
            self.values[key] = {}
            for row in self.index.values():
                self._set_label(key, column, row)
        return column[: self.size]

    def label_match(self, want: Requirement, rows: Rows) -> npt.NDArray[np.bool_]:
        column = self.label(want.key)[rows]
        match want.operator:
            case "Exists":
                return column >= 0
            case "DoesNotExist":
                return column < 0
            case "In" | "NotIn":
                ids = [i for v in want.values if (i := self.values[want.key].get(v)) is not None]
                inside = (column == ids[0]) if len(ids) == 1 else np.isin(column, ids)
                return inside if want.operator == "In" else ~inside
        good = [i for v, i in self.values[want.key].items() if want.matches({want.key: v})]
        return np.isin(column, good)

    def term_match(self, terms: Iterable[NodeTerm], rows: Rows) -> npt.NDArray[np.bool_]:
        """Nodes that match any of the terms; an empty term matches none."""
        out = np.zeros(len(rows), bool)
        for term in terms:
            if not term.labels and not term.fields:
                continue
            fits = np.ones(len(rows), bool)
            for want in term.labels:
                fits &= self.label_match(want, rows)
            for want in term.fields:
                fits &= np.fromiter((want.matches({"metadata.name": self.names[r]}) for r in rows), bool, len(rows))
            out |= fits
        return out

    # -- nodes --------------------------------------------------------------------------------------------------
    def set_node(self, node: Object) -> int:
        name = node["metadata"]["name"]
        row = self.index.get(name)
        if row is None:
            row = self._new_row(name)
        self.nodes[row] = node
        self._alive[row] = True
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self._unschedulable[row] = bool(spec.get("unschedulable"))
        self._taints[row] = self._taint_id(match.taints(node))
        amounts = status.get("allocatable") or status.get("capacity") or {}
        columns = {self._resource(r): match.amount(v, milli=r == "cpu") for r, v in amounts.items()}
        self._alloc[row] = 0
        for column, value in columns.items():
            self._alloc[row, column] = value
        for key, labels in self._labels.items():
            self._set_label(key, labels, row)
        self._set_images(row, status.get("images") or ())
        self._changed(row)
        for info in list(self._homeless.pop(name, {}).values()):
            self.add_pod(info, name)
        return row

    def remove_node(self, name: str) -> None:
        row = self.index.pop(name, None)
        if row is None:
            return
        for info in list(self.pods[row].values()):
            self.remove_pod(info.uid)
            self._homeless[name][info.uid] = info
        for rows in self.images.values():
            rows.pop(row, None)
        self._alive[row], self.nodes[row] = False, None
        for labels in self._labels.values():
            labels[row] = -1
        self._free.append(row)
        self._changed(row)

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = self.size
            self._grow(row + 1)
            self.size += 1
            self.names.append(name)
            self.nodes.append(None)
            self.pods.append({})
        self.index[name] = row
        return row

    def _grow(self, rows: int) -> None:
        if rows <= self._room:
            return
        more = max(64, self._room)
        self._room += more

        def longer(array: Any, fill: Any = 0) -> Any:
            return np.concatenate([array, np.full((more, *array.shape[1:]), fill, array.dtype)])

        self._alloc, self._used, self._nonzero = map(longer, (self._alloc, self._used, self._nonzero))
        self._alive, self._unschedulable, self._taints = map(longer, (self._alive, self._unschedulable, self._taints))
        self._labels = {k: longer(v, -1) for k, v in self._labels.items()}
        for counter in self._counters.values():
            counter.counts = longer(counter.counts)

    def _resource(self, name: str) -> int:
        column = self.resources.get(name)
        if column is None:
            column = self.resources[name] = len(self.resources)
            if column >= self._alloc.shape[1]:
                self._alloc = np.pad(self._alloc, ((0, 0), (0, 8)))
                self._used = np.pad(self._used, ((0, 0), (0, 8)))
        return column

    def _taint_id(self, taints: tuple[Taint, ...]) -> int:
        known = self._taint_ids.get(taints)
        if known is None:
            known = self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return known

    def _set_label(self, key: str, column: npt.NDArray[np.int32], row: int) -> None:
        node = self.nodes[row]
        value = (node["metadata"].get("labels") or {}).get(key) if node else None
        ids = self.values[key]
        column[row] = -1 if value is None else ids.setdefault(value, len(ids))

    def _set_images(self, row: int, images: Iterable[Object]) -> None:
        sizes = {name: image.get("sizeBytes", 0) for image in images for name in image.get("names") or ()}
        for name, rows in self.images.items():
            if row in rows and name not in sizes:
                del rows[row]
        for name, size in sizes.items():
            self.images.setdefault(name, {})[row] = size

    # -- pods ---------------------------------------------------------------------------------------------------
    def row_of(self, uid: str) -> int | None:
        return self._where.get(uid)

    def add_pod(self, info: PodInfo, node: str) -> None:
        """Places (or replaces) a pod on a node. The same pod at the same place with nothing new costs nothing."""
        row = self.index.get(node)
        old_row = self._where.get(info.uid)
        if old_row is not None:
            old = self.pods[old_row][info.uid]
            if old_row == row and old.shape == info.shape and old.group == info.group \
                    and old.priority == info.priority:
                self.pods[old_row][info.uid] = info
                return
            self.remove_pod(info.uid)
        if row is None:
            self._homeless[node][info.uid] = info
            return
        self.pods[row][info.uid] = info
        self._where[info.uid] = row
        self._account(info, row, 1)
        self._changed(row)

    def remove_pod(self, uid: str) -> PodInfo | None:
        row = self._where.pop(uid, None)
        if row is None:
            for infos in self._homeless.values():
                infos.pop(uid, None)
            return None
        info = self.pods[row].pop(uid)
        self._account(info, row, -1)
        self._changed(row)
        return info

    def _account(self, info: PodInfo, row: int, sign: int) -> None:
        shape = info.shape
        _count(self.priorities, info.priority, sign)
        for name, value in shape.requests:
            self._used[row, self._resource(name)] += sign * value
        self._nonzero[row, 0] += sign * shape.nonzero[0]
        self._nonzero[row, 1] += sign * shape.nonzero[1]
        for ip, protocol, port in shape.ports:
            here = self.ports.setdefault((protocol, port), {}).setdefault(row, [])
            if sign > 0:
                here.append(ip)
            else:
                here.remove(ip)
        group = self._groups.get(info.group)
        if group is None:
            group = self._groups[info.group] = self._new_group(info)
        _count(group.rows, row, sign)
        for counter in group.counters:
            counter.counts[row] += sign
            counter.total += sign
        if shape.affinity or shape.anti_affinity or shape.preferred_pods:
            for kind, terms in (("affinity", shape.affinity), ("anti", shape.anti_affinity),
                                ("preferred", shape.preferred_pods)):
                for term in terms:
                    self._count_term(kind, term, row, sign)

    def _count_term(self, kind: str, term: PodTerm, row: int, sign: int) -> None:
        entry = self.terms.get((kind, term))
        if entry is None:
            entry = self.terms[kind, term] = TermCount(kind, term)
        _count(entry.rows, row, sign)
        if not entry.rows:
            del self.terms[kind, term]

    def _new_group(self, info: PodInfo) -> _Group:
        group = _Group(dict(info.labels))
        group.counters = [c for c in self._counters.values()
                          if c.matches(info.namespace, group.labels, info.terminating)]
        return group

    def counter(self, key: Any, matches: Callable[[str, Mapping[str, str], bool], bool]) -> Counter:
        """The Counter of that key, made by counting the first time. Equal keys must mean equal functions."""
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) > 4096:
                self._drop_counters()
            counter = self._counters[key] = Counter(matches, np.zeros(self._room, np.int64))
            for (namespace, _, terminating), group in list(self._groups.items()):
                if not group.rows:
                    del self._groups[namespace, _, terminating]
                elif matches(namespace, group.labels, terminating):
                    group.counters.append(counter)
                    for row, count in group.rows.items():
                        counter.counts[row] += count
                        counter.total += count
        return counter

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        before = self.namespaces.get(name)
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        if before != labels and any(key[0] == name for key in self._groups):
            self._drop_counters()  # namespace selectors may match differently now

    def _drop_counters(self) -> None:
        self._counters.clear()
        for group in self._groups.values():
            group.counters.clear()
        self.version += 1

    # -- changes ------------------------------------------------------------------------------------------------
    def _changed(self, row: int) -> None:
        self.journal.append(row)
        if len(self.journal) > JOURNAL_LIMIT:
            self.journal_start += len(self.journal)
            self.journal.clear()

    def position(self) -> int:
        return self.journal_start + len(self.journal)

    def changed_since(self, position: int) -> list[int] | None:
        """Rows changed since then (may repeat); None if that is too long ago."""
        start = position - self.journal_start
        return self.journal[start:] if start >= 0 else None


def _count(counts: dict[int, int], row: int, sign: int) -> None:
    value = counts.get(row, 0) + sign
    if value:
        counts[row] = value
    else:
        counts.pop(row, None)
