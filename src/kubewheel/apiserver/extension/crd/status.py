"""What a CustomResourceDefinition's status should say. Pure.

In: the definition, the others, the time. Out: the status dict. Called by: controller.py.
Reasons and messages are upstream's naming, establishing and finalizing controllers'.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubewheel.api import codec
from kubewheel.api.apiextensions import conditions, definition
from kubewheel.api.apiextensions import customresourcedefinition as definitions
from kubewheel.api.resource import Object


def wanted(crd: Object, others: Iterable[Object], *, now: str) -> Object:
    """Names are accepted first, and seen to be; only what had them accepted then is established."""
    status = codec.copy(crd.get("status") or {})
    spec = crd["spec"]
    names, conflict = _accepted(spec, status.get("acceptedNames") or {},
                                [o for o in others if o["spec"]["group"] == spec["group"]])
    was_accepted = definitions.is_true(crd, "NamesAccepted")
    status["acceptedNames"] = names
    stored = status["storedVersions"] = list(status.get("storedVersions") or ())
    stored += [v["name"] for v in spec["versions"] if v.get("storage") and v["name"] not in stored]
    if conflict:
        conditions.put(status, "NamesAccepted", "False", *conflict, now)
        if not any(c["type"] == "Established" for c in status["conditions"]):
            conditions.put(status, "Established", "False", "NotAccepted", "not all names are accepted", now)
    else:
        conditions.put(status, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
        if not is_established(status):
            established = ("True", "InitialNamesAccepted") if was_accepted else ("False", "Installing")
            conditions.put(status, "Established", *established, "the initial names have been accepted", now)
    # Schemas that are not structural are refused on the way in, so nothing stored has this condition any more.
    status["conditions"] = [c for c in status["conditions"] if c["type"] != "NonStructuralSchema"]
    _approval(crd, status, now)
    return status


_APPROVALS = {"approved": ("True", "ApprovedAnnotation"), "bypassed": ("False", "UnapprovedAnnotation"),
              "missing": ("False", "MissingAnnotation"), "invalid": ("False", "InvalidAnnotation")}


def _approval(crd: Object, status: Object, now: str) -> None:
    """Of groups that belong to the community: has their API been reviewed?"""
    if definition.is_protected(crd["spec"]["group"]):
        state, words = definition.approval(crd)
        conditions.put(status, "KubernetesAPIApprovalPolicyConformant", *_APPROVALS[state], words, now)


def is_established(status: Object) -> bool:
    return definitions.is_true({"status": status}, "Established")


def terminating(crd: Object, value: str, reason: str, message: str, now: str) -> Object:
    status = codec.copy(crd.get("status") or {})
    conditions.put(status, "Terminating", value, reason, message, now)
    return status


def _accepted(spec: Object, before: Object, others: list[Object]) -> tuple[Object, tuple[str, str] | None]:
    """(the accepted names, (reason, message) of the last conflict or None). A name in use keeps what was accepted."""
    taken: set[str] = set()
    kinds: set[str] = set()
    for names in (before, *((o.get("status") or {}).get("acceptedNames") or {} for o in others)):
        taken |= {n for n in (names.get("plural"), names.get("singular"), *(names.get("shortNames") or ())) if n}
        kinds |= {n for n in (names.get("kind"), names.get("listKind")) if n}
    requested, out = spec["names"], codec.copy(before)
    conflict: tuple[str, str] | None = None
    for field, used, reason in (("plural", taken, "PluralConflict"), ("singular", taken, "SingularConflict"),
                                ("shortNames", taken, "ShortNamesConflict"), ("kind", kinds, "KindConflict"),
                                ("listKind", kinds, "ListKindConflict")):
        if field == "shortNames":
            short: list[str] = requested.get(field) or []
            clash = [s for s in short if s in used and s not in (before.get(field) or ())]
            if clash:
                told = [f'"{s}" is already in use' for s in dict.fromkeys(clash)]
                conflict = (reason, told[0] if len(told) == 1 else f"[{', '.join(told)}]")
            else:
                _replace(out, field, short)
            continue
        value = requested.get(field, "")
        if value in used and before.get(field) != value:
            conflict = (reason, f'"{value}" is already in use')
            if field in ("plural", "kind"):
                out.setdefault(field, "")
        elif value:
            out[field] = value
    _replace(out, "categories", requested.get("categories") or [])
    return out, conflict


def _replace(out: Object, field: str, values: list[Any]) -> None:
    if values:
        out[field] = codec.copy(values)
    else:
        out.pop(field, None)
