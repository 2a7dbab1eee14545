"""Rules of metav1.Conditions, of the kinds whose status upstream looks at so closely.

In: condition lists. Out: FieldError lists. Called by: dra/*.py, policy/poddisruptionbudget.py, networking/servicecidr.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

MAX_REASON, MAX_MESSAGE = 1024, 32 * 1024
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_TEXT = ("a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
                "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  "
                f"or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '{_REASON}')")


def validate(conditions: Sequence[Object], path: str) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        kind, where = condition.get("type") or "", f"{path}[{i}]"
        if kind in seen:
            out.append(errors.field_duplicate(f"{where}.type", kind))
        seen.add(kind)
        out += _one(condition, kind, where)
    return out


def _one(condition: Object, kind: str, path: str) -> list[FieldError]:
    out = validation.check(f"{path}.type", kind, names.qualified(kind))
    status, reason = condition.get("status") or "", condition.get("reason") or ""
    if status not in ("True", "False", "Unknown"):
        out.append(errors.field_not_supported(f"{path}.status", status, ("False", "True", "Unknown")))
    observed = condition.get("observedGeneration") or 0
    if observed < 0:
        out.append(errors.field_invalid(f"{path}.observedGeneration", observed, "must be greater than or equal to zero"))
    if not condition.get("lastTransitionTime"):
        out.append(errors.field_required(f"{path}.lastTransitionTime"))
    if not reason:
        out.append(errors.field_required(f"{path}.reason"))
    else:
        if not re.fullmatch(_REASON, reason, re.ASCII):
            out.append(errors.field_invalid(f"{path}.reason", reason, _REASON_TEXT))
        if len(reason.encode()) > MAX_REASON:
            out.append(errors.field_too_long(f"{path}.reason", MAX_REASON))
    if len((condition.get("message") or "").encode()) > MAX_MESSAGE:
        out.append(errors.field_too_long(f"{path}.message", MAX_MESSAGE))
    return out
