"""Conditions: lists of {type, status, reason, message, lastTransitionTime} in a status.

In: objects or lists. Out: one condition, its status, changed lists. Called by: controllers, kubelet, Table cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubewheel.lib import clock

Condition = dict[str, Any]


def find(obj: dict[str, Any], type_: str) -> Condition | None:
    for c in (obj.get("status") or {}).get("conditions") or ():
        if c.get("type") == type_:
            return c
    return None


def status(obj: dict[str, Any], type_: str) -> str:
    """"True", "False", "Unknown", or "" where it is absent."""
    found = find(obj, type_)
    return found.get("status", "") if found else ""


def is_true(obj: dict[str, Any], type_: str) -> bool:
    return status(obj, type_) == "True"


def replaced(conditions: Iterable[Condition] | None, new: Condition, now: float) -> list[Condition]:
    """A new list with `new` in it. lastTransitionTime moves only where the status moves."""
    out: list[Condition] = []
    seen = False
    for c in conditions or ():
        if c.get("type") != new["type"]:
            out.append(c)
            continue
        seen = True
        same = c.get("status") == new.get("status")
        stamp = c.get("lastTransitionTime") if same else clock.rfc3339(now)
        out.append({**new, "lastTransitionTime": new.get("lastTransitionTime") or stamp})
    if not seen:
        out.append({**new, "lastTransitionTime": new.get("lastTransitionTime") or clock.rfc3339(now)})
    return out
