"""Preemption: which pods would have to go, and where, so that a pod of higher priority fits. Pure.

In: a pod, the Table, the Decision that found no node, PodDisruptionBudgets. Out: a Plan, or why there is none.
Called by: loop. The table is changed while trying and is as before afterwards.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kubewheel.api.resource import Object
from kubewheel.scheduler import decide, match
from kubewheel.scheduler.decide import Decider, Decision
from kubewheel.scheduler.podinfo import PodInfo
from kubewheel.scheduler.table import Table

MIN_PERCENT, MIN_COUNT = 10, 100


@dataclass(frozen=True, slots=True)
class Plan:
    node: str
    victims: tuple[PodInfo, ...]  # most important first
    violations: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    plan: Plan | None
    message: str = ""  # what follows "preemption: " where there is no plan


def preempt(
    pod: PodInfo, table: Table, decider: Decider, decision: Decision, budgets: Sequence[Object], rng: random.Random, *,
    min_percent: int = MIN_PERCENT, min_count: int = MIN_COUNT,
) -> Outcome:
    if refusal := _not_eligible(pod, table):
        return Outcome(None, refusal)
    if decision.failing is None or decision.codes is None:  # a prefilter refused: no victim would change that
        return Outcome(None, f"0/{decision.total} nodes are available: "
                             f"{decision.total} Preemption is not helpful for scheduling.")
    why: Counter[str] = Counter()
    helpful = _helpful(table, decider, decision)
    if hopeless := decision.total - len(helpful):
        why["Preemption is not helpful for scheduling"] = hopeless
    if min(table.priorities, default=pod.priority) >= pod.priority:  # nobody gives way anywhere
        why["No preemption victims found for incoming pod"] = len(helpful)
        helpful = []
    plans: list[Plan] = []
    enough = min(max(len(table) * min_percent // 100, min_count), len(helpful))
    start = rng.randrange(len(helpful)) if helpful else 0
    for row in helpful[start:] + helpful[:start]:
        found = _try_node(pod, table, decider, row, budgets)
        if isinstance(found, Plan):
            plans.append(found)
            if len(plans) >= enough and any(not p.violations for p in plans):
                break
        else:
            why.update(found)
    if not plans:
        words = ", ".join(sorted(f"{n} {reason}" for reason, n in why.items() if n))
        return Outcome(None, f"0/{decision.total} nodes are available: {words}.")
    return Outcome(min(plans, key=_cost))


def _helpful(table: Table, decider: Decider, decision: Decision) -> list[int]:
    """Rows where taking pods away may help."""
    assert decision.failing is not None and decision.codes is not None
    packed = decide.pack(decision.failing, decision.codes)
    lost = [k for k in np.unique(packed[table.alive]) if decider.is_unresolvable(*decide.unpack(int(k)))]
    return list(map(int, np.flatnonzero(table.alive & ~np.isin(packed, lost))))


def _not_eligible(pod: PodInfo, table: Table) -> str:
    if pod.obj["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    row = table.index.get(pod.nominated)
    if row is not None and any(p.terminating and p.priority < pod.priority and _by_preemption(p)
                               for p in table.pods[row].values()):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _by_preemption(pod: PodInfo) -> bool:
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "DisruptionTarget" and c.get("status") == "True"
               and c.get("reason") == "PreemptionByScheduler" for c in conditions)


def _started(pod: PodInfo) -> str:
    return (pod.obj.get("status") or {}).get("startTime") or "9999"  # not yet started counts as now


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the more important first: higher priority, then started earlier."""
    return -pod.priority, _started(pod)


def _try_node(
    pod: PodInfo, table: Table, decider: Decider, row: int, budgets: Sequence[Object]
) -> Plan | tuple[str, ...]:
    lower = sorted((p for p in table.pods[row].values() if p.priority < pod.priority), key=_importance)
    if not lower:
        return ("No preemption victims found for incoming pod",)
    node = table.names[row]
    kept_for = [p for uid, (where, p) in table.nominated.items()
                if where == node and uid != pod.uid and p.priority >= pod.priority and table.row_of(uid) is None]
    gone: dict[str, PodInfo] = {}
    for other in kept_for:
        table.add_pod(other, node)
    try:
        for victim in lower:
            table.remove_pod(victim.uid)
            gone[victim.uid] = victim
        number, code = decider.check(pod, table, row)
        if number:
            return decider.explain(number, code, pod, table)
        violating, harmless = _by_budget(lower, budgets)
        violations = 0
        for group, costs in ((violating, 1), (harmless, 0)):
            for victim in group:  # the most important is given its place back first
                table.add_pod(victim, node)
                if decider.check(pod, table, row)[0]:
                    table.remove_pod(victim.uid)
                    violations += costs
                else:
                    del gone[victim.uid]
        return Plan(node, tuple(sorted(gone.values(), key=_importance)), violations)
    finally:
        for victim in gone.values():
            table.add_pod(victim, node)
        for other in kept_for:
            table.remove_pod(other.uid)


def _by_budget(pods: Iterable[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose eviction would break a PodDisruptionBudget, and the others."""
    left = {id(b): (b.get("status") or {}).get("disruptionsAllowed", 0) for b in budgets}
    violating: list[PodInfo] = []
    harmless: list[PodInfo] = []
    for pod in pods:
        breaks = False
        for budget in budgets:
            selector = budget["spec"].get("selector")
            if budget["metadata"]["namespace"] != pod.namespace or not selector or not pod.labels:
                continue
            if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            if match.selector(selector).matches(pod.labels):
                left[id(budget)] -= 1
                breaks = breaks or left[id(budget)] < 0
        (violating if breaks else harmless).append(pod)
    return violating, harmless


def _cost(plan: Plan) -> tuple[object, ...]:
    """Fewest broken budgets, then the least important first victim, sum of priorities, number, latest start."""
    if not plan.victims:
        return (plan.violations, -(2**31), 0, 0, "")
    top = plan.victims[0].priority
    earliest = min(_started(v) for v in plan.victims if v.priority == top)
    return (plan.violations, top, sum(v.priority + 2**31 for v in plan.victims), len(plan.victims), _inverse(earliest))


def _inverse(text: str) -> tuple[int, ...]:
    """Sorts later times first."""
    return tuple(-ord(c) for c in text)
