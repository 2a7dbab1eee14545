"""Custom resources held against their schema's CEL rules.

In: the compiled Rules, an object, on updates the old one. Out: FieldErrors with upstream's words.
Called by: default_values.py, extension/crd/resource.py, after the schema's own checks.
"""

from __future__ import annotations

import logging
from typing import Any

from kubewheel.api import cel, errors
from kubewheel.api.apiextensions import rules
from kubewheel.api.apiextensions.rules import Rule, Rules
from kubewheel.api.cel.values import NONE, Option
from kubewheel.api.errors import FieldError

log = logging.getLogger(__name__)
_ABSENT = object()
_BLOCKING = {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
             "FieldValueTypeInvalid"}
_SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


def is_blocked(findings: list[FieldError]) -> bool:
    """Rules assume a value of the declared types and bounds; without them they are not run."""
    return any(f.type in _BLOCKING for f in findings)


def not_checked() -> FieldError:
    return errors.field_invalid("<nil>", None, "some validation rules were not checked because the object was invalid; "
                                "correct the existing errors to complete validation")


def findings(tree: Rules, obj: Any, *, old: Any = None) -> list[FieldError]:
    run = _Run()
    run.level(tree, obj, _ABSENT if old is None else old, "")
    return run.out


class _Run:
    """One object's validation: what was found, and the budget all its rules share."""

    def __init__(self) -> None:
        self.out: list[FieldError] = []
        self._budget = cel.BUDGET

    def level(self, tree: Rules, value: Any, old: Any, path: str, same: bool = False) -> None:
        """`same`: what is around here did not change; it goes for what is not found again in the old value."""
        if self._budget < 0 or value is None:
            return
        if old is not _ABSENT:
            same = type(old) is type(value) and old == value
        if tree.own:
            self._own(tree, value, old, path, same)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, item in value.items():
                inner = tree.fields.get(name)
                if inner is not None:
                    self.level(inner, item, before.get(name, _ABSENT), f"{path}.{name}" if path else name, same)
                elif tree.values is not None:
                    self.level(tree.values, item, before.get(name, _ABSENT), f"{path}[{name}]", same)
        elif isinstance(value, list) and tree.items is not None:
            earlier = {_key(o, tree.keys): o for o in old} if tree.keys and isinstance(old, list) else {}
            for i, item in enumerate(value):
                self.level(tree.items, item, earlier.get(_key(item, tree.keys), _ABSENT) if earlier else _ABSENT,
                           f"{path}[{i}]", same)

    def _own(self, tree: Rules, value: Any, old: Any, path: str, same: bool) -> None:
        see = tree.view
        mine = see(value) if see is not None else value
        theirs = (see(old) if see is not None else old) if old is not _ABSENT else None
        for rule in tree.own:
            if rule.is_transition and (old is _ABSENT or old is None) and not rule.optional_old:
                continue
            before = theirs
            if rule.optional_old:
                before = NONE if old is _ABSENT or old is None else Option(True, theirs)
            try:
                result, self._budget = rule.program.run((mine, before), self._budget)
            except cel.CelError as e:
                self.out.append(errors.field_invalid(path or "<nil>", tree.type, _why(e, rule)))
                continue
            except cel.CostExceeded as e:
                self.out.append(self._spent(tree, rule, path, e))
                self._budget = -1
                return
            if result is not True:
                told = _refusal(rule, value, path, self._message(rule, mine, before))
                ratcheted = same and not rule.is_transition
                self.out.append(FieldError(errors.RATCHETED, told.field, told.body) if ratcheted else told)

    def _spent(self, tree: Rules, rule: Rule, path: str, e: cel.CostExceeded) -> FieldError:
        if self._budget < cel.CALL_LIMIT:
            return errors.field_invalid(path or "<nil>", tree.type, _SPENT)
        return errors.field_invalid(path or "<nil>", tree.type, f"'{e}': no further validation rules will be run due to "
                                    f"call cost exceeds limit for rule: {_named(rule)}")

    def _message(self, rule: Rule, mine: Any, before: Any) -> str:
        if rule.message_program is not None:
            try:
                text, self._budget = rule.message_program.run((mine, before), self._budget)
                text = text.strip() if isinstance(text, str) else ""
                if text and "\n" not in text:
                    return text
            except (cel.CelError, cel.CostExceeded) as e:
                log.debug("messageExpression of %r: %s", rule.source, e)  # the message stands in for it
        return rule.message or f"failed rule: {rule.source.strip()}"


def _key(item: Any, keys: tuple[str, ...]) -> str:
    return errors.render_value([item.get(k) for k in keys] if isinstance(item, dict) else item)


def _named(rule: Rule) -> str:
    return rule.message or rule.source.strip()


def _why(e: cel.CelError, rule: Rule) -> str:
    text = str(e)
    if text.startswith("no such overload"):
        return (f"'{text}': call arguments did not match a supported operator, function or macro signature for rule: "
                f"{_named(rule)}")
    return f"{text} evaluating rule: {_named(rule)}"


def _refusal(rule: Rule, value: Any, path: str, message: str) -> FieldError:
    """Objects and lists are not shown."""
    where = rules.joined(path, rule) or "<nil>"
    is_shown = not isinstance(value, (dict, list))
    if rule.reason == "FieldValueForbidden":
        return errors.field_forbidden(where, message)
    if rule.reason == "FieldValueRequired":
        return errors.field_required(where, message)
    if rule.reason == "FieldValueDuplicate":
        return errors.field_duplicate(where, value) if is_shown else FieldError(rule.reason, where, "Duplicate value")
    return errors.field_invalid(where, value, message) if is_shown else errors.field_invalid_unnamed(where, message)
