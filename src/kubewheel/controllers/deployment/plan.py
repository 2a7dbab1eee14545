"""How many pods each ReplicaSet of a Deployment should have. Pure: sizes in, sizes out.

In: Deployment and ReplicaSet dicts. Out: {replica set name: new size}. Called by: deployment/controller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from kubewheel.api.resource import Object
from kubewheel.reconcile import objects

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"

Sizes = dict[str, int]


def size(rs: Object) -> int:
    return rs["spec"].get("replicas", 1)


def available(rs: Object) -> int:
    return (rs.get("status") or {}).get("availableReplicas", 0)


def total(sets: Iterable[Object]) -> int:
    return sum(size(rs) for rs in sets)


def name_of(rs: Object) -> str:
    return rs["metadata"]["name"]


def revision(obj: Object) -> int:
    text = objects.annotations_of(obj).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def is_rolling(d: Object) -> bool:
    return (d["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def fenceposts(d: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods. Both 0 would never move: then one may be unavailable."""
    if not is_rolling(d):
        return 0, 0
    wanted = size(d)
    rolling = (d["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = objects.scaled(rolling.get("maxSurge", "25%"), wanted, round_up=True)
    unavailable = objects.scaled(rolling.get("maxUnavailable", "25%"), wanted, round_up=False)
    return surge, 1 if surge == 0 and unavailable == 0 else unavailable


def max_unavailable(d: Object) -> int:
    if not is_rolling(d) or size(d) == 0:
        return 0
    return min(fenceposts(d)[1], size(d))


def new_set_size(d: Object, sets: Iterable[Object], current: int) -> int:
    """What the new ReplicaSet may have now, given what all have."""
    if not is_rolling(d):
        return size(d)
    room = size(d) + fenceposts(d)[0] - total(sets)
    return current if room <= 0 else current + min(room, size(d) - current)


def rolling(d: Object, new: Object, old: Sequence[Object]) -> Sizes:
    """One step of a rolling update: first the new set grows, only when it is as big as may be do old ones
    shrink."""
    if size(new) != size(d):
        wanted = size(d) if size(new) > size(d) else new_set_size(d, [new, *old], size(new))
        if wanted != size(new):
            return {name_of(new): wanted}
    return shrink_old(d, new, old)


def shrink_old(d: Object, new: Object, old: Sequence[Object]) -> Sizes:
    if total(old) == 0:
        return {}
    floor = size(d) - max_unavailable(d)
    may_go = total([new, *old]) - floor - (size(new) - available(new))
    if may_go <= 0:
        return {}
    ordered = sorted(old, key=by_age)
    sizes = {name_of(rs): size(rs) for rs in ordered}
    # First the pods that serve nobody anyway, so that a broken old version cannot block the new one.
    cleaned = 0
    for rs in ordered:
        if cleaned >= may_go:
            break
        gone = min(may_go - cleaned, max(size(rs) - available(rs), 0))
        sizes[name_of(rs)] -= gone
        cleaned += gone
    spare = available(new) + sum(available(rs) for rs in old) - floor
    for rs in ordered:
        if spare <= 0:
            break
        gone = min(sizes[name_of(rs)], spare)
        sizes[name_of(rs)] -= gone
        spare -= gone
    return {name_of(rs): sizes[name_of(rs)] for rs in ordered if sizes[name_of(rs)] != size(rs)}


def by_age(rs: Object) -> tuple[str, str]:
    return rs["metadata"].get("creationTimestamp", ""), name_of(rs)


def scale(d: Object, new: Object | None, old: Sequence[Object]) -> Sizes:
    """The Deployment was resized (perhaps in the middle of a rollout)."""
    every = [*old, new] if new else list(old)
    active = [rs for rs in every if size(rs) > 0]
    if len(active) <= 1:
        only = active[0] if active else new or max(old, key=revision, default=None)
        # Listed even at the right size: its annotations must follow the Deployment's.
        return {name_of(only): size(d)} if only is not None else {}
    if new is not None and is_saturated(d, new):
        return {name_of(rs): 0 for rs in old if size(rs) > 0}
    return proportional(d, active) if is_rolling(d) else {}


def is_saturated(d: Object, rs: Object) -> bool:
    wanted = size(d)
    return (
        objects.annotations_of(rs).get(DESIRED) == str(wanted)
        and size(rs) == wanted
        and available(rs) == wanted
    )


def proportional(d: Object, active: Sequence[Object]) -> Sizes:
    """All active sets share the change by their size; what rounding leaves goes to the largest."""
    allowed = size(d) + fenceposts(d)[0] if size(d) > 0 else 0
    to_add = allowed - total(active)
    newest_first = sorted(active, key=by_age, reverse=True)
    ordered = sorted(newest_first if to_add > 0 else newest_first[::-1], key=size, reverse=True)
    sizes: Sizes = {}
    added = 0
    for rs in ordered:
        share = _share(rs, d, to_add, added)
        sizes[name_of(rs)] = size(rs) + share
        added += share
    if ordered and to_add:
        first = name_of(ordered[0])
        sizes[first] = max(sizes[first] + to_add - added, 0)
    # Unchanged sizes are listed too: their annotations must follow the Deployment's new size.
    return sizes


def _share(rs: Object, d: Object, to_add: int, added: int) -> int:
    if size(rs) == 0 or to_add in (0, added):
        return 0
    left = to_add - added
    fraction = _fraction(rs, d)
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(rs: Object, d: Object) -> int:
    if size(d) == 0:
        return -size(rs)
    before_text = objects.annotations_of(rs).get(MAX, "")
    before = int(before_text) if before_text.isdecimal() else 0
    before = before or (d.get("status") or {}).get("replicas", 0)
    if before == 0:
        return 0
    exact = size(rs) * (size(d) + fenceposts(d)[0]) / before
    return math.floor(exact + 0.5) - size(rs)


def is_scaling(d: Object, sets: Iterable[Object]) -> bool:
    """Some active set was last sized for another number than the Deployment's."""
    for rs in sets:
        desired = objects.annotations_of(rs).get(DESIRED, "")
        if size(rs) > 0 and desired.isdecimal() and int(desired) != size(d):
            return True
    return False


def to_clean_up(d: Object, old: Sequence[Object]) -> list[Object]:
    """Old, empty sets past spec.revisionHistoryLimit, oldest revision first."""
    limit = d["spec"].get("revisionHistoryLimit")
    if limit is None:
        return []
    alive = sorted(
        (rs for rs in old if not objects.is_terminating(rs)), key=lambda rs: (revision(rs), by_age(rs))
    )
    out = []
    for rs in alive[: max(len(alive) - limit, 0)]:
        status = rs.get("status") or {}
        seen = rs["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
        if not status.get("replicas") and size(rs) == 0 and seen:
            out.append(rs)
    return out
