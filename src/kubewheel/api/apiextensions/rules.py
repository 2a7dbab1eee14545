"""x-kubernetes-validations: a schema's CEL rules, checked and compiled.

In: structural schemas. Out: Rules (the tree of compiled rules); FieldErrors of rules that do not compile or may cost too
much. Called by: schemas.py (creation of a CRD), evaluation.py and extension/crd/resource.py (values).
Source of the rule: "Validation rules" in the CustomResourceDefinition documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubewheel.api import cel, errors
from kubewheel.api.apiextensions import declared, field_paths, internal
from kubewheel.api.apiextensions.declared import View
from kubewheel.api.cel import lexer
from kubewheel.api.cel.check import Kind
from kubewheel.api.errors import FieldError

Schema = dict[str, Any]
EXTENSION = "x-kubernetes-validations"
REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
RULE_COST_LIMIT = 10_000_000  # of one rule, as often as one object may hold its value


@dataclass(slots=True)
class Rule:
    source: str
    program: cel.Program
    is_transition: bool
    optional_old: bool
    message: str = ""
    message_program: cel.Program | None = None
    reason: str = "FieldValueInvalid"
    field_path: str = ""


@dataclass(slots=True)
class Rules:
    """The rules of one schema and of those below it; absent where there are none."""

    type: str
    own: list[Rule] = field(default_factory=list)
    view: View | None = None  # None: values are seen as they are
    fields: dict[str, Rules] = field(default_factory=dict)
    values: Rules | None = None
    items: Rules | None = None
    keys: tuple[str, ...] = ()  # of a list of type map: its elements are found again in the old list


# -- compiling --------------------------------------------------------------------------------------------------------
def mentions_old(source: str) -> bool:
    return any(t.kind == "ident" and t.value == "oldSelf" for t in lexer.tokens(source)[0])


def _scope(rule: Schema, own: Kind) -> dict[str, Kind]:
    return {"self": own, "oldSelf": Kind("optional", own) if rule.get("optionalOldSelf") else own}


def _below(rule: Schema, schema: Schema) -> str:
    return field_paths.follow((rule.get("fieldPath") or "").strip(), schema)[1]


def _compile(rule: Schema, own: Kind, schema: Schema) -> Rule:
    """ParseError."""
    scope, source = _scope(rule, own), rule["rule"]
    made = Rule(source, cel.compile(source, ("self", "oldSelf"), kinds=scope, wants=("bool",)), mentions_old(source),
                bool(rule.get("optionalOldSelf")), (rule.get("message") or "").strip(),
                reason=rule.get("reason") or "FieldValueInvalid", field_path=_below(rule, schema))
    if message := (rule.get("messageExpression") or "").strip():
        made.message_program = cel.compile(message, ("self", "oldSelf"), kinds=scope, wants=("string",))
    return made


def tree(schema: Schema, *, root: bool = False) -> Rules | None:
    """The compiled rules. Schemas come checked: a rule that does not compile is an error of ours."""
    made = Rules(schema.get("type", ""), keys=tuple(
        schema.get("x-kubernetes-list-map-keys") or ()) if schema.get("x-kubernetes-list-type") == "map" else ())
    own = declared.kind(schema, root=root) if schema.get(EXTENSION) else None
    if own is not None:
        made.own = [_compile(r, own, schema) for r in schema[EXTENSION]]
        made.view = declared.view(schema)
    for name, prop in (schema.get("properties") or {}).items():
        if (inner := tree(prop)) is not None:
            made.fields[name] = inner
    if isinstance(extra := schema.get("additionalProperties"), dict):
        made.values = tree(extra)
    if isinstance(items := schema.get("items"), dict):
        made.items = tree(items)
    return made if made.own or made.fields or made.values is not None or made.items is not None else None


# -- checking, when a CRD is written ----------------------------------------------------------------------------------
def check(schema: Schema, path: str, *, root: bool = False, blocked: str = "", cardinality: int | None = 1,
          spent: Callable[[str, int], None] | None = None) -> list[FieldError]:
    """What is wrong with one schema's own rules. `blocked`: the part above that is not found again in an old value, if any;
    `cardinality`: how many values one object may hold (None: as many as fit); `spent` is told of each estimate."""
    own = declared.kind(schema, root=root)
    if own is None:
        return [FieldError("InternalError", f"{path}.{EXTENSION}", _NO_TYPE)]
    out: list[FieldError] = []
    often = declared.max_cardinality(own) if cardinality is None else cardinality
    for i, rule in enumerate(schema.get(EXTENSION) or ()):
        out += _one(rule, own, f"{path}.{EXTENSION}[{i}]", often, blocked, spent)
    return out


_NO_TYPE = ("Internal error: internal error: failed to construct type information for x-kubernetes-validations rules: unable "
            "to convert structural schema to CEL declarations")


def _one(rule: Schema, own: Kind, at: str, often: int, blocked: str, spent: Callable[[str, int], None] | None
         ) -> list[FieldError]:
    source, message = rule["rule"], (rule.get("messageExpression") or "").strip()
    scope = _scope(rule, own)
    out = []
    try:
        _, once = cel.measured(source, ("self", "oldSelf"), kinds=scope, wants=("bool",))
        cost = min(once * often, cel.UNBOUNDED)
        if cost > RULE_COST_LIMIT:
            out.append(errors.field_forbidden(f"{at}.rule", too_dear("estimated rule cost", cost, RULE_COST_LIMIT)))
        if spent is not None:
            spent(f"{at}.rule", cost)
    except cel.ParseError as e:
        out.append(errors.field_invalid(f"{at}.rule", internal.rule(rule), _failure(str(e), "cel expression")))
        return out + _optional_unused(rule, at)
    if message:
        try:
            _, cost = cel.measured(message, ("self", "oldSelf"), kinds=scope, wants=("string",))
            if cost > RULE_COST_LIMIT:
                out.append(errors.field_forbidden(
                    f"{at}.messageExpression", too_dear("estimated messageExpression cost", cost, RULE_COST_LIMIT)))
            if spent is not None:
                spent(f"{at}.messageExpression", cost)
        except cel.ParseError as e:
            out.append(errors.field_invalid(f"{at}.messageExpression", internal.rule(rule),
                                            _failure(str(e), "messageExpression")))
    if mentions_old(source):
        if blocked:
            out.append(errors.field_invalid(f"{at}.rule", source, "oldSelf cannot be used on the uncorrelatable portion of "
                                                                  f"the schema within {blocked}"))
    else:
        out += _optional_unused(rule, at)
    return out


def _optional_unused(rule: Schema, at: str) -> list[FieldError]:
    """Of a rule that does not compile it is not known whether it uses oldSelf."""
    given = rule.get("optionalOldSelf")
    return [] if given is None else [
        errors.field_invalid(f"{at}.optionalOldSelf", given, "may not be set if oldSelf is not used in rule")]


def too_dear(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (f"{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, and "
            "maxLength where arrays, maps, and strings are declared)")


def _failure(text: str, what: str) -> str:
    if text.startswith("must evaluate"):
        return f"{what} must evaluate to a {text.split()[3]}"
    if text.startswith("program instantiation"):
        return ("messageExpression " if what == "messageExpression" else "") + text
    return ("messageExpression " if what == "messageExpression" else "") + f"compilation failed: {text}"


def words(rule: Schema, schema: Schema, at: str) -> list[FieldError]:
    """What is wrong with a rule before its expressions are looked at."""
    out = []
    source, message = rule.get("rule") or "", rule.get("message") or ""
    if not source.strip():
        out.append(errors.field_required(f"{at}.rule", "rule is not specified"))
    elif message and not message.strip():
        out.append(errors.field_invalid(f"{at}.message", message, "must be non-empty if specified"))
    elif _broken(message.strip()):
        out.append(errors.field_invalid(f"{at}.message", message, "must not contain line breaks"))
    elif _broken(source.strip()) and not message:
        out.append(errors.field_required(f"{at}.message", "message must be specified if rule contains line breaks"))
    if rule.get("messageExpression") and not rule["messageExpression"].strip():
        out.append(errors.field_required(f"{at}.messageExpression", "messageExpression must be non-empty if specified"))
    if rule.get("reason") is not None and rule["reason"] not in REASONS:
        out.append(errors.field_not_supported(f"{at}.reason", rule["reason"], REASONS))
    if path := rule.get("fieldPath"):
        out += _field_path(path, schema, f"{at}.fieldPath")
    return out


def _broken(text: str) -> bool:
    return "\n" in text or "\r" in text


def _field_path(path: str, schema: Schema, at: str) -> list[FieldError]:
    out = []
    if not path.strip():
        out.append(errors.field_invalid(at, path, "must be non-empty if specified"))
    if _broken(path):
        out.append(errors.field_invalid(at, path, "must not contain line breaks"))
    try:
        field_paths.follow(path, schema)
    except ValueError:
        out.append(errors.field_invalid(at, path, "must be a valid path"))
    return out


def joined(path: str, rule: Rule) -> str:
    """Where a finding of the rule stands, whose value is at `path`."""
    below = rule.field_path
    return f"{path}.{below}" if path and below and not below.startswith("[") else path + below
