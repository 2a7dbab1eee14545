"""Device taints: of slices and of taint rules.

In: taints. Out: stamps, FieldError lists. Called by: resourceslice.py, devicetaintrule.py.
"""

from __future__ import annotations

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object
from kubewheel.lib import clock

EFFECTS = ("NoExecute", "NoSchedule", "None")


def stamp(taint: Object, now: float) -> None:
    if not taint.get("timeAdded"):
        taint["timeAdded"] = clock.rfc3339(now)


def validate(taint: Object, path: str, old: Object | None = None) -> list[FieldError]:
    """An effect that was stored is not looked at again."""
    key, value = taint.get("key") or "", taint.get("value") or ""
    out = validation.check(f"{path}.key", key, names.qualified(key))
    out += validation.check(f"{path}.value", value, names.label_value(value))
    if old is not None and old.get("effect") == taint.get("effect"):
        return out
    return out + validation.one_of(taint.get("effect"), EFFECTS, f"{path}.effect")


def toleration(given: Object, path: str) -> list[FieldError]:
    key, value, operator = given.get("key") or "", given.get("value") or "", given.get("operator") or ""
    out = validation.check(f"{path}.key", key, names.qualified(key)) if key else []
    if operator == "Exists":
        if value:
            out.append(errors.field_invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        out += validation.check(f"{path}.value", value, names.label_value(value))
    else:
        out += validation.one_of(operator, ("Equal", "Exists"), f"{path}.operator")
    return out + validation.one_of(given.get("effect"), EFFECTS, f"{path}.effect", required=False)
