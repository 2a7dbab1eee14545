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


def validate(taint: Object, path: str) -> list[FieldError]:
    key, value = taint.get("key") or "", taint.get("value") or ""
    out = validation.check(f"{path}.key", key, names.qualified(key)) if key else [errors.field_required(f"{path}.key")]
    out += validation.check(f"{path}.value", value, names.label_value(value))
    return out + validation.one_of(taint.get("effect"), EFFECTS, f"{path}.effect")
