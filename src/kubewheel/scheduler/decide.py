"""The decision: a pod and the Table → the best node, or why there is none. Pure: no I/O, no clock; chance is handed in.

In: PodInfo, Table, the profile's plugins. Out: Decision. Called by: loop, preempt, tests.

Pods of equal signature share an Entry: what local plugins said of every node. Only rows in the table's journal since
then are asked again; plugins that look across nodes are asked each time, for all nodes at once.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kubewheel.scheduler.plugins.base import Codes, Plugin, Scores
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Rows, Table

MAX_ENTRIES = 512


def pack(failing: npt.NDArray[np.int16], codes: Codes) -> npt.NDArray[np.int64]:
    """Filter number and code of each row in one integer, so that equal refusals are found by one sort."""
    return failing.astype(np.int64) << 48 | codes


def unpack(key: int) -> tuple[int, int]:
    return key >> 48, key & (1 << 48) - 1


@dataclass(slots=True)
class Decision:
    """`node` is None where none fits; then `failing` and `codes` say per row which filter (1-based) refused and how."""

    node: str | None = None
    feasible: int = 0
    total: int = 0  # nodes there are
    prefilter: str = ""
    plugins: frozenset[str] = frozenset()  # the names of those that refused
    failing: npt.NDArray[np.int16] | None = None
    codes: Codes | None = None
    counts: Counter[str] = field(default_factory=Counter)  # reason → nodes

    def message(self, preemption: str = "") -> str:
        """`0/3 nodes are available: 1 …, 2 …. preemption: …`"""
        if not self.total:
            return "no nodes available to schedule pods"
        text = self.prefilter or ", ".join(sorted(f"{n} {reason}" for reason, n in self.counts.items()))
        return f"0/{self.total} nodes are available: {text}." + (f" preemption: {preemption}" if preemption else "")


@dataclass(slots=True, eq=False)
class _Entry:
    position: int
    version: int
    nodes: int
    failing: npt.NDArray[np.int16]
    codes: Codes
    base: Scores  # weighted sum of the scores that need no normalizing
    raw: dict[int, Scores]  # index of score plugin → raw scores


class Decider:
    """The filters and scorers of one profile, in order, with the cache of what they said."""

    def __init__(self, filters: Sequence[Plugin], scorers: Sequence[tuple[Plugin, float]],
                 prefilters: Sequence[Plugin] = ()) -> None:
        self.prefilters = list(prefilters)
        self.filters = list(filters)
        self.scorers = list(scorers)
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    # -- the decision -------------------------------------------------------------------------------------------
    def decide(self, pod: PodInfo, table: Table, rng: random.Random) -> Decision:
        decision = Decision(total=len(table))
        if not decision.total:
            return decision
        for plugin in self.prefilters:
            if plugin.applies(pod, table) and (why := plugin.prefilter(pod, table)) is not None:
                decision.prefilter, decision.plugins = why, frozenset({plugin.name})
                return decision
        entry = self._entry(pod, table)
        failing, codes = self._across_nodes(pod, table, entry)
        if table.nominated:
            failing, codes = self._beside_nominated(pod, table, failing, codes)
        fits = np.flatnonzero((failing == 0) & table.alive)
        decision.feasible = len(fits)
        if not len(fits):
            self._say_why(pod, table, failing, codes, decision)
            return decision
        kept = table.index.get(pod.nominated)  # victims went for it there: that node is taken if it fits
        if kept is None or failing[kept]:
            kept = self._pick(pod, table, entry, fits, rng)
        decision.node = table.names[kept]
        return decision

    def _across_nodes(self, pod: PodInfo, table: Table, entry: _Entry) -> tuple[npt.NDArray[np.int16], Codes]:
        failing, codes, rows = entry.failing, entry.codes, None
        for number, plugin in enumerate(self.filters, 1):
            if plugin.is_local or not plugin.applies(pod, table):
                continue
            rows = table.all_rows() if rows is None else rows
            said = plugin.filter(pod, table, rows)
            if said is None:
                continue
            if failing is entry.failing:
                failing, codes = failing.copy(), codes.copy()
            newly = (failing == 0) & (said != 0)
            failing[newly], codes[newly] = number, said[newly]
        return failing, codes

    def _beside_nominated(
        self, pod: PodInfo, table: Table, failing: npt.NDArray[np.int16], codes: Codes
    ) -> tuple[npt.NDArray[np.int16], Codes]:
        """Nodes kept for pods that preempted there must also fit with those pods in place."""
        kept: dict[int, list[PodInfo]] = {}
        for uid, (node, other) in table.nominated.items():
            row = table.index.get(node)
            if uid != pod.uid and row is not None and other.priority >= pod.priority and failing[row] == 0 \
                    and table.row_of(uid) is None:
                kept.setdefault(row, []).append(other)
        if not kept:
            return failing, codes
        failing, codes = failing.copy(), codes.copy()
        for row, others in kept.items():
            for other in others:
                table.add_pod(other, table.names[row])
            failing[row], codes[row] = self.check(pod, table, row)
            for other in others:
                table.remove_pod(other.uid)
        return failing, codes

    def check(self, pod: PodInfo, table: Table, row: int) -> tuple[int, int]:
        """(0, 0) if the pod fits on that one node as the table is now; else the filter's number and its code."""
        rows = np.array([row], np.int64)
        for number, plugin in enumerate(self.filters, 1):
            if plugin.applies(pod, table) and (said := plugin.filter(pod, table, rows)) is not None and said[0]:
                return number, int(said[0])
        return 0, 0

    def _pick(self, pod: PodInfo, table: Table, entry: _Entry, fits: Rows, rng: random.Random) -> int:
        if len(fits) == 1:
            return int(fits[0])
        total = entry.base[fits]
        for number, (plugin, weight) in enumerate(self.scorers):
            if plugin.is_local:
                if (raw := entry.raw.get(number)) is not None:
                    total = total + weight * plugin.normalize(raw[fits])
            elif plugin.applies(pod, table) and (scores := plugin.score(pod, table, fits)) is not None:
                total = total + weight * plugin.normalize(scores)
        best = fits[np.flatnonzero(total == total.max())]
        return int(best[rng.randrange(len(best))] if len(best) > 1 else best[0])

    def scores(self, pod: PodInfo, table: Table) -> dict[str, dict[str, float]]:
        """What each plugin gives each fitting node, weighted: for people, not for speed."""
        entry = self._entry(pod, table)
        failing, _ = self._across_nodes(pod, table, entry)
        fits = np.flatnonzero((failing == 0) & table.alive)
        out: dict[str, dict[str, float]] = {table.names[r]: {} for r in fits}
        for plugin, weight in self.scorers:
            said = plugin.score(pod, table, fits) if plugin.applies(pod, table) and len(fits) else None
            if said is not None:
                for row, score in zip(fits, plugin.normalize(said), strict=True):
                    out[table.names[row]][plugin.name] = float(weight * score)
        return out

    # -- why not ------------------------------------------------------------------------------------------------
    def _say_why(self, pod: PodInfo, table: Table, failing: npt.NDArray[np.int16], codes: Codes,
                 decision: Decision) -> None:
        decision.failing, decision.codes = failing, codes
        keys, counts = np.unique(pack(failing, codes)[table.alive], return_counts=True)
        names = set()
        for key, count in zip(keys, counts, strict=True):
            number, code = unpack(int(key))
            names.add(self.filters[number - 1].name)
            for reason in self.explain(number, code, pod, table):
                decision.counts[reason] += int(count)
        decision.plugins = frozenset(names)

    def explain(self, number: int, code: int, pod: PodInfo, table: Table) -> tuple[str, ...]:
        return self.filters[number - 1].explain(code, pod, table)

    def is_unresolvable(self, number: int, code: int) -> bool:
        return self.filters[number - 1].is_unresolvable(code)

    # -- what local plugins said --------------------------------------------------------------------------------
    def _entry(self, pod: PodInfo, table: Table) -> _Entry:
        entry = self._entries.get(pod.signature)
        changed: list[int] | None = None
        if entry is not None and entry.version == table.version and entry.nodes == len(table) \
                and len(entry.failing) == table.size:
            changed = table.changed_since(entry.position)
        if entry is None or changed is None or len(changed) > table.size:
            entry = self._entries[pod.signature] = self._ask(pod, table, table.all_rows())
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        elif changed:
            self._ask_again(pod, table, entry, np.array(sorted(set(changed)), np.int64))
        self._entries.move_to_end(pod.signature)
        return entry

    def _ask(self, pod: PodInfo, table: Table, rows: Rows) -> _Entry:
        entry = _Entry(table.position(), table.version, len(table), np.zeros(len(rows), np.int16),
                       np.zeros(len(rows), np.int64), np.zeros(len(rows)), {})
        for number, plugin in enumerate(self.filters, 1):
            if not plugin.is_local or not plugin.applies(pod, table):
                continue
            said = plugin.filter(pod, table, rows)
            if said is not None:
                newly = (entry.failing == 0) & (said != 0)
                entry.failing[newly], entry.codes[newly] = number, said[newly]
        for number, (plugin, weight) in enumerate(self.scorers):
            if not plugin.is_local or not plugin.applies(pod, table):
                continue
            scores = plugin.score(pod, table, rows)
            if scores is None:
                continue
            if type(plugin).normalize is Plugin.normalize and not plugin.normalize_how:
                entry.base += weight * scores
            else:
                entry.raw[number] = scores
        return entry

    def _ask_again(self, pod: PodInfo, table: Table, entry: _Entry, rows: Rows) -> None:
        fresh = self._ask(pod, table, rows)
        entry.position = fresh.position
        entry.failing[rows], entry.codes[rows], entry.base[rows] = fresh.failing, fresh.codes, fresh.base
        for number in entry.raw.keys() | fresh.raw.keys():
            if number not in entry.raw:
                entry.raw[number] = np.zeros(table.size)
            entry.raw[number][rows] = fresh.raw.get(number, 0.0)
