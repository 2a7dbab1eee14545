"""Rules of a Job's pod failure policy and success policy, and of sets of indexes as text ("1,3-5").

In: JobSpec dicts. Out: FieldError lists. Called by: job_spec.py, job_status.py.
"""

from __future__ import annotations

from typing import Any

from kubewheel.api import errors, names, validation
from kubewheel.api.errors import FieldError
from kubewheel.api.resource import Object

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MAX_INDEXES_TEXT = 64 * 1024


def _shown(values: tuple[str, ...]) -> str:
    """As Go's %q prints a list."""
    return "[" + " ".join(f'"{v}"' for v in values) + "]"


def pod_failure(spec: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    rules = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > 20:
        out.append(errors.field_too_many(f"{path}.rules", len(rules), 20))
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {c.get("name") for key in ("containers", "initContainers") for c in pod.get(key) or ()}
    for i, rule in enumerate(rules):
        out += _failure_rule(spec, rule, f"{path}.rules[{i}]", known)
    return out


def _failure_rule(spec: Object, rule: Object, path: str, known: set[Any]) -> list[FieldError]:
    out: list[FieldError] = []
    action, codes, conditions = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions")
    if not action:
        out.append(errors.field_required(f"{path}.action", f"valid values: {_shown(_ACTIONS)}"))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            out.append(errors.field_invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    elif action not in _ACTIONS:
        out.append(errors.field_not_supported(f"{path}.action", action, _ACTIONS))
    if codes is not None:
        out += _exit_codes(codes, f"{path}.onExitCodes", known)
    if conditions:
        out += _conditions(conditions, f"{path}.onPodConditions")
    if codes is not None and conditions:
        out.append(errors.field_invalid_unnamed(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        out.append(errors.field_invalid_unnamed(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return out


def _conditions(items: Any, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    if len(items) > 20:
        out.append(errors.field_too_many(path, len(items), 20))
    allowed = ("False", "True", "Unknown")
    for j, pattern in enumerate(items):
        kind, status = pattern.get("type") or "", pattern.get("status") or ""
        out += validation.check(f"{path}[{j}].type", kind, names.qualified(kind))
        if not status:
            out.append(errors.field_required(f"{path}[{j}].status", f"valid values: {_shown(allowed)}"))
        elif status not in allowed:
            out.append(errors.field_not_supported(f"{path}[{j}].status", status, allowed))
    return out


def _exit_codes(codes: Object, path: str, known: set[Any]) -> list[FieldError]:
    out: list[FieldError] = []
    operator, container, values = codes.get("operator") or "", codes.get("containerName"), codes.get("values") or []
    if not operator:
        out.append(errors.field_required(f"{path}.operator", f"valid values: {_shown(('In', 'NotIn'))}"))
    elif operator not in ("In", "NotIn"):
        out.append(errors.field_not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    if container is not None and container not in known:
        out.append(errors.field_invalid(f"{path}.containerName", container, (
            "must be one of the container or initContainer names in the pod template")))
    if not values:
        out.append(errors.field_invalid(f"{path}.values", values or None, "at least one value is required"))
    elif len(values) > 255:
        out.append(errors.field_too_many(f"{path}.values", len(values), 255))
    for j, value in enumerate(values):
        if operator == "In" and value == 0:
            out.append(errors.field_invalid(f"{path}.values[{j}]", value, "must not be 0 for the In operator"))
        if value in values[:j]:
            out.append(errors.field_duplicate(f"{path}.values[{j}]", value))
    if any(a > b for a, b in zip(values, values[1:], strict=False)):
        out.append(errors.field_invalid(f"{path}.values", values, "must be ordered"))
    return out


def success(spec: Object, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    rules = spec["successPolicy"].get("rules") or ()
    if not rules:
        out.append(errors.field_required(f"{path}.rules",
                                         "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > 20:
        out.append(errors.field_too_many(f"{path}.rules", len(rules), 20))
    for i, rule in enumerate(rules):
        out += _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{i}]")
    return out


def _success_rule(rule: Object, completions: int, path: str) -> list[FieldError]:
    out: list[FieldError] = []
    count, text, total = rule.get("succeededCount"), rule.get("succeededIndexes"), 0
    if count is None and text is None:
        out.append(errors.field_required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    if text is not None:
        if len(text) > _MAX_INDEXES_TEXT:
            out.append(errors.field_too_long(f"{path}.succeededIndexes", _MAX_INDEXES_TEXT))
        try:
            total = count_indexes(text, completions)
        except ValueError as e:
            out.append(errors.field_invalid(f"{path}.succeededIndexes", text, f"error parsing succeededIndexes: {e}"))
    if count is not None:
        where = f"{path}.succeededCount"
        out += validation.non_negative(count, where)
        if count > completions:
            out.append(errors.field_invalid(where, count, (
                f"must be less than or equal to {completions} (the number of specified completions)")))
        if text is not None and count > total:
            out.append(errors.field_invalid(where, count, f"must be less than or equal to {total} (the number of "
                                            "indexes in the specified succeededIndexes field)"))
    return out


def count_indexes(text: str, completions: int) -> int:
    """How many indexes a text like "1,3-5" names. ValueError with upstream's words."""
    total, last = 0, -1
    for interval in text.split(",") if text else ():
        ends = interval.split("-")
        if len(ends) > 2:
            raise ValueError(f'the fragment "{interval}" violates the requirement that an index interval can have at most '
                             'two parts separated by \'-\'')
        numbers = [_index(e, completions) for e in ends]
        low, high = numbers[0], numbers[-1]
        if len(numbers) == 2 and low >= high:
            raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
        if low <= last:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        total += high - low + 1
        last = high
    return total


def _index(text: str, completions: int) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)
