"""Rules of a Job's status: counts, and conditions that contradict each other or themselves.

In: Jobs, as they were and as they are to be. Out: FieldError lists. Called by: job.py.
Upstream applies each rule of consistency only where the update touches what it is about.
"""

from __future__ import annotations

from kubewheel.api import errors, validation
from kubewheel.api.batch import job_policies
from kubewheel.api.conditions import is_true
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object


def validate(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    status = new.get("status") or {}
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        out += validation.non_negative(status.get(field), f"status.{field}")
    out += _uncounted(status.get("uncountedTerminatedPods") or {})
    return out + _ended(new, old) + _indexes(new, old) + _success_criteria(new, old) + _changes(new, old)


def _uncounted(pods: Object) -> list[FieldError]:
    out: list[FieldError] = []
    seen: set[str] = set()
    for side in ("succeeded", "failed"):
        for i, uid in enumerate(pods.get(side) or ()):
            where = f"status.uncountedTerminatedPods.{side}[{i}]"
            if not uid:
                out.append(errors.field_invalid(where, uid, "must not be empty"))
            elif uid in seen:
                out.append(errors.field_duplicate(where, uid))
            seen.add(uid)
    return out


def _became(new: Object, old: Object, kind: str) -> bool:
    return is_true(new, kind) and not is_true(old, kind)


def _ended(new: Object, old: Object) -> list[FieldError]:
    """What must hold once Complete or Failed is set."""
    out: list[FieldError] = []
    status, before = new.get("status") or {}, old.get("status") or {}
    complete, failed = is_true(new, "Complete"), is_true(new, "Failed")
    fresh = _became(new, old, "Complete") or _became(new, old, "Failed")
    conditions, at, started = "status.conditions", status.get("completionTime"), status.get("startTime")
    if complete and failed and fresh:
        out.append(errors.field_invalid_unnamed(conditions, "cannot set Complete=True and Failed=true conditions"))
    if complete and is_true(new, "FailureTarget") and (fresh or _became(new, old, "FailureTarget")):
        out.append(errors.field_invalid_unnamed(conditions, "cannot set Complete=True and FailureTarget=true conditions"))
    if at and not complete and at != before.get("completionTime"):
        out.append(errors.field_invalid("status.completionTime", at,
                                        "cannot set completionTime when there is no Complete=True condition"))
    if not at and complete and (fresh or before.get("completionTime")):
        out.append(errors.field_required("status.completionTime", "completionTime is required for Complete jobs"))
    if at and started and at < started and (at != before.get("completionTime") or started != before.get("startTime")):
        out.append(errors.field_invalid("status.completionTime", at, "must be equal to or after `startTime`"))
    if failed and not is_true(new, "FailureTarget") and _became(new, old, "Failed"):
        out.append(errors.field_invalid_unnamed(
            conditions, "cannot set Failed=True condition without the FailureTarget=true condition"))
    if complete and not is_true(new, "SuccessCriteriaMet") and _became(new, old, "Complete"):
        out.append(errors.field_invalid_unnamed(
            conditions, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
    if not complete and not failed:
        return out
    active, terminating = status.get("active") or 0, status.get("terminating") or 0
    if active > 0 and (fresh or active != before.get("active")):
        out.append(errors.field_invalid("status.active", active, "active>0 is invalid for finished job"))
    if not started and (fresh or before.get("startTime")):
        out.append(errors.field_required("status.startTime", "startTime is required for finished job"))
    pods = status.get("uncountedTerminatedPods") or {}
    if (pods.get("failed") or pods.get("succeeded")) and (fresh or pods != before.get("uncountedTerminatedPods")):
        out.append(errors.field_invalid("status.uncountedTerminatedPods", pods, "must be empty for finished job"))
    if terminating > 0 and (fresh or terminating != before.get("terminating")):
        out.append(errors.field_invalid("status.terminating", terminating, "terminating>0 is invalid for finished job"))
    return out


def _indexes(new: Object, old: Object) -> list[FieldError]:
    out: list[FieldError] = []
    spec, status, before = new.get("spec") or {}, new.get("status") or {}, old.get("status") or {}
    completions, indexed = spec.get("completions"), spec.get("completionMode") == "Indexed"
    for field, wanted in (("completedIndexes", True), ("failedIndexes", spec.get("backoffLimitPerIndex") is not None)):
        text = status.get(field)
        if text is None or text == before.get(field):
            continue
        where = f"status.{field}"
        if completions is not None and wanted:
            try:
                job_policies.count_indexes(text, completions)
            except ValueError as e:
                out.append(errors.field_invalid(where, text, f"error parsing {field}: {e}"))
        if field == "completedIndexes" and text and not indexed:
            out.append(errors.field_invalid(where, text,
                                            "cannot set non-empty completedIndexes when non-indexed completion mode"))
        if field == "failedIndexes" and not wanted:
            out.append(errors.field_invalid(where, text,
                                            "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
    ready, active = status.get("ready"), status.get("active") or 0
    if ready is not None and ready > active and ready != before.get("ready"):
        out.append(errors.field_invalid("status.ready", ready, "cannot set more ready pods than active"))
    return out


def _success_criteria(new: Object, old: Object) -> list[FieldError]:
    met, path = is_true(new, "SuccessCriteriaMet"), "status.conditions"
    found: list[str] = []
    if met and is_true(new, "Failed"):
        found.append("cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if met and is_true(new, "FailureTarget"):
        found.append("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if (new.get("spec") or {}).get("successPolicy") is not None and not met and is_true(new, "Complete"):
        found.append("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
    return [errors.field_invalid_unnamed(path, text) for text in found]


def _changes(new: Object, old: Object) -> list[FieldError]:
    """What cannot be taken back."""
    out: list[FieldError] = []
    status, before = new.get("status") or {}, old.get("status") or {}
    for kind in ("Failed", "Complete", "FailureTarget"):
        if is_true(old, kind) and not is_true(new, kind):
            out.append(errors.field_invalid_unnamed("status.conditions",
                                                    f"cannot disable the terminal {kind}=True condition"))
    for field in ("failed", "succeeded"):
        if (status.get(field) or 0) < (before.get(field) or 0):
            out.append(errors.field_invalid(f"status.{field}", status.get(field) or 0,
                                            f"cannot decrease the {field} counter"))
    at, was = status.get("completionTime"), before.get("completionTime")
    if at and was and at != was:
        out.append(errors.field_invalid("status.completionTime", at, "field is immutable"))
    started = before.get("startTime")
    if started and started != status.get("startTime") and not (new.get("spec") or {}).get("suspend"):
        out.append(errors.field_required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if is_true(old, "SuccessCriteriaMet") and not is_true(new, "SuccessCriteriaMet"):
        out.append(errors.field_invalid_unnamed("status.conditions",
                                                "cannot disable the SuccessCriteriaMet=True condition"))
    if is_true(old, "Complete") and not is_true(old, "SuccessCriteriaMet") and is_true(new, "SuccessCriteriaMet"):
        out.append(errors.field_invalid_unnamed(
            "status.conditions", "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"))
    return out
