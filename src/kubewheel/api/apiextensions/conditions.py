"""Conditions of a CustomResourceDefinition's status.

In: a status dict. Out: the same, in place. Called by: extension/crd/status.py, verbs/delete.py.
"""

from __future__ import annotations

from kubewheel.api.resource import Object


def put(status: Object, type_: str, value: str, reason: str, message: str, now: str) -> None:
    """The time is that of the last change of `value`."""
    made = {"lastTransitionTime": now, "message": message, "reason": reason, "status": value, "type": type_}
    if status.get("conditions") is None:
        status["conditions"] = []
    for i, condition in enumerate(status["conditions"]):
        if condition["type"] == type_:
            if condition["status"] == value:
                made["lastTransitionTime"] = condition.get("lastTransitionTime", now)
            status["conditions"][i] = made
            return
    status["conditions"].append(made)
